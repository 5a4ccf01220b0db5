"""Random weight files of networks whose sizes are fixed."""

import array
import math
import random

from harness import write_safetensors

# Convolutions of the FID Inception: name, input channels, output channels, kernel height, kernel width.
STEM = [("Conv2d_1a_3x3", 3, 32, 3, 3), ("Conv2d_2a_3x3", 32, 32, 3, 3), ("Conv2d_2b_3x3", 32, 64, 3, 3),
        ("Conv2d_3b_1x1", 64, 80, 1, 1), ("Conv2d_4a_3x3", 80, 192, 3, 3)]


def block_a(name, width, pool):
    return [(name + ".branch1x1", width, 64, 1, 1), (name + ".branch5x5_1", width, 48, 1, 1),
            (name + ".branch5x5_2", 48, 64, 5, 5), (name + ".branch3x3dbl_1", width, 64, 1, 1),
            (name + ".branch3x3dbl_2", 64, 96, 3, 3), (name + ".branch3x3dbl_3", 96, 96, 3, 3),
            (name + ".branch_pool", width, pool, 1, 1)]


def block_c(name, c):
    return [(name + ".branch1x1", 768, 192, 1, 1), (name + ".branch7x7_1", 768, c, 1, 1),
            (name + ".branch7x7_2", c, c, 1, 7), (name + ".branch7x7_3", c, 192, 7, 1),
            (name + ".branch7x7dbl_1", 768, c, 1, 1), (name + ".branch7x7dbl_2", c, c, 7, 1),
            (name + ".branch7x7dbl_3", c, c, 1, 7), (name + ".branch7x7dbl_4", c, c, 7, 1),
            (name + ".branch7x7dbl_5", c, 192, 1, 7), (name + ".branch_pool", 768, 192, 1, 1)]


def block_e(name, width):
    return [(name + ".branch1x1", width, 320, 1, 1), (name + ".branch3x3_1", width, 384, 1, 1),
            (name + ".branch3x3_2a", 384, 384, 1, 3), (name + ".branch3x3_2b", 384, 384, 3, 1),
            (name + ".branch3x3dbl_1", width, 448, 1, 1), (name + ".branch3x3dbl_2", 448, 384, 3, 3),
            (name + ".branch3x3dbl_3a", 384, 384, 1, 3), (name + ".branch3x3dbl_3b", 384, 384, 3, 1),
            (name + ".branch_pool", width, 192, 1, 1)]


CONVOLUTIONS = (
    STEM + block_a("Mixed_5b", 192, 32) + block_a("Mixed_5c", 256, 64) + block_a("Mixed_5d", 288, 64) +
    [("Mixed_6a.branch3x3", 288, 384, 3, 3), ("Mixed_6a.branch3x3dbl_1", 288, 64, 1, 1),
     ("Mixed_6a.branch3x3dbl_2", 64, 96, 3, 3), ("Mixed_6a.branch3x3dbl_3", 96, 96, 3, 3)] +
    block_c("Mixed_6b", 128) + block_c("Mixed_6c", 160) + block_c("Mixed_6d", 160) + block_c("Mixed_6e", 192) +
    [("Mixed_7a.branch3x3_1", 768, 192, 1, 1), ("Mixed_7a.branch3x3_2", 192, 320, 3, 3),
     ("Mixed_7a.branch7x7x3_1", 768, 192, 1, 1), ("Mixed_7a.branch7x7x3_2", 192, 192, 1, 7),
     ("Mixed_7a.branch7x7x3_3", 192, 192, 7, 1), ("Mixed_7a.branch7x7x3_4", 192, 192, 3, 3)] +
    block_e("Mixed_7b", 1280) + block_e("Mixed_7c", 2048))


def noise(draw, count, deviation):
    """`count` values of one deviation: a drawn block, repeated at random offsets."""
    block = noise.block
    if len(block) == 0:
        block.extend(draw.gauss(0, 1) for _ in range(4099))
    values = array.array("f", (v * deviation for v in block))
    begin = draw.randrange(4099)
    whole = values[begin:] + values[:begin]
    return (whole * (count // 4099 + 1))[:count]


noise.block = []


def inception_weights(path, fault=None):
    draw = random.Random(7)
    tensors = {}
    for name, inputs, outputs, height, width in CONVOLUTIONS:
        count = inputs * height * width
        tensors[name + ".conv.weight"] = ((outputs, inputs, height, width),
                                          noise(draw, outputs * count, math.sqrt(2 / count)))
        for part, value in (("weight", 1), ("bias", 0), ("running_mean", 0), ("running_var", 1)):
            tensors[name + ".bn." + part] = ((outputs,), array.array("f", [value]) * outputs)
    tensors["fc.weight"] = ((1008, 2048), noise(draw, 1008 * 2048, 0.05))
    tensors["fc.bias"] = ((1008,), array.array("f", [0]) * 1008)
    if fault == "nan":
        tensors["fc.weight"][1][5] = tensors["Conv2d_1a_3x3.bn.bias"][1][0] = math.nan
    if fault == "missing":
        del tensors["Mixed_7c.branch1x1.conv.weight"]
    return write_safetensors(path, tensors)


def clip_weights(path, width=64, size=64, patch=16):
    """An image tower of CLIP of one block, by Hugging Face's names, and a text tower as small."""
    draw, tensors = random.Random(8), {}

    def add(name, *shape, deviation=0.2, mean=0.0):
        tensors[name] = (shape, array.array("f", (v + mean for v in noise(draw, math.prod(shape), deviation))))

    for tower in ("vision_model", "text_model"):
        block = tower + ".encoder.layers.0."
        for part in ("k", "v", "q", "out"):
            add(block + "self_attn.%s_proj.weight" % part, width, width)
            add(block + "self_attn.%s_proj.bias" % part, width)
        for norm in ("layer_norm1", "layer_norm2"):
            add(block + norm + ".weight", width, mean=1)
            add(block + norm + ".bias", width)
        add(block + "mlp.fc1.weight", 2 * width, width)
        add(block + "mlp.fc1.bias", 2 * width)
        add(block + "mlp.fc2.weight", width, 2 * width)
        add(block + "mlp.fc2.bias", width)
    for norm in ("vision_model.pre_layrnorm", "vision_model.post_layernorm", "text_model.final_layer_norm"):
        add(norm + ".weight", width, mean=1)
        add(norm + ".bias", width)
    add("vision_model.embeddings.class_embedding", width)
    add("vision_model.embeddings.patch_embedding.weight", width, 3, patch, patch)
    add("vision_model.embeddings.position_embedding.weight", 1 + (size // patch) ** 2, width)
    add("text_model.embeddings.token_embedding.weight", 99, width)
    add("text_model.embeddings.position_embedding.weight", 20, width)
    add("visual_projection.weight", 32, width)
    add("text_projection.weight", 32, width)
    tensors["logit_scale"] = ((), array.array("f", [2.6592]))
    return write_safetensors(path, tensors)


def classifier_weights(path, widths=(8, 12), classes=5, size=16, broken=False):
    """A classifier for eval --network. `broken`: its second layer does not follow the first."""
    draw, tensors, inputs = random.Random(10), {}, 3
    for layer, width in enumerate(widths):
        tensors["convs.%d.weight" % layer] = ((width, inputs, 3, 3), noise(draw, width * inputs * 9, 0.3))
        tensors["convs.%d.bias" % layer] = ((width,), noise(draw, width, 0.1))
        inputs = width + 1 if broken else width
    tensors["linear.weight"] = ((classes, widths[-1]), noise(draw, classes * widths[-1], 0.5))
    tensors["linear.bias"] = ((classes,), noise(draw, classes, 0.5))
    for name, values in (("strides", [1, 2]), ("size", [size]), ("mean", [0.5] * 3), ("std", [0.25] * 3)):
        tensors[name] = ((len(values),), array.array("f", values))
    return write_safetensors(path, tensors)


def lpips_weights(backbone, heads):
    """AlexNet's convolutions by torchvision's names, and the heads of lpips."""
    draw, tensors, weights = random.Random(9), {}, {}
    for k, (place, inputs, outputs, kernel) in enumerate(((0, 3, 64, 11), (3, 64, 192, 5), (6, 192, 384, 3),
                                                          (8, 384, 256, 3), (10, 256, 256, 3))):
        count = inputs * kernel * kernel
        tensors["features.%d.weight" % place] = ((outputs, inputs, kernel, kernel),
                                                 noise(draw, outputs * count, math.sqrt(2 / count)))
        tensors["features.%d.bias" % place] = ((outputs,), array.array("f", [0]) * outputs)
        weights["lin%d.model.1.weight" % k] = ((1, outputs, 1, 1), array.array("f", [1 / outputs]) * outputs)
    write_safetensors(backbone, tensors)
    write_safetensors(heads, weights)
