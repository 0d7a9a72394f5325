"""Native backbones, built with every slot an attention can stand in."""

from __future__ import annotations

from zoo import Component, hookimpl


@hookimpl
def zoo_backbones() -> list[Component]:
    """Offer the backbones of this folder."""
    return [
        Component(
            name="attn_cnn",
            target="zoo_cnn.attn_cnn:AttentionCNN",
            summary="Residual CNN of given widths and depths, 1-D or 2-D, with every slot.",
            paper="He et al., CVPR 2016, arXiv 1512.03385",
        ),
        Component(
            name="plain_cnn",
            target="zoo_cnn.plain_cnn:PlainCNN",
            summary="Stages of convolutions, each ending in 2x2 max pooling, 1-D or 2-D.",
            paper="Simonyan, Zisserman, ICLR 2015, arXiv 1409.1556",
        ),
        Component(
            name="resnet_cifar",
            target="zoo_cnn.resnet_cifar:ResNetCIFAR",
            summary="The paper's residual networks for small images, ResNet-20 to ResNet-110, 1-D or 2-D.",
            paper="He et al., CVPR 2016, arXiv 1512.03385",
        ),
        Component(
            name="resnet9",
            target="zoo_cnn.resnet9:ResNet9",
            summary="Few layers, each pooled at once, with residual blocks between; trains fast, 1-D or 2-D.",
            paper="Page, How to Train Your ResNet, myrtle.ai 2018",
        ),
        Component(
            name="text_cnn",
            target="zoo_cnn.text_cnn:TextCNN",
            summary="Parallel convolutions over word embeddings, for texts.",
            paper="Kim, EMNLP 2014, arXiv 1408.5882",
            ndims=(1,),
        ),
        Component(
            name="audio_cnn",
            target="zoo_cnn.audio_cnn:AudioCNN",
            summary="Log-mel spectrogram of a waveform, then a residual CNN over (mel, time) or time.",
            paper="Hershey et al., ICASSP 2017, arXiv 1609.09430",
        ),
    ]
