from zoo import Component, hookimpl


@hookimpl
def zoo_attentions():
    return [
        Component(
            name="gaussian_gate",
            family="channel",
            target="zoo_gaussian.gate:GaussianGate",
            summary="Weigh channels by how ordinary their mean is.",
        )
    ]
