#!/usr/bin/env python3
"""Converts a weight file that `gigacat import` cannot read into safetensors, without executing what it holds.

    python3 scripts/convert_weights.py FILE OUT.safetensors

Needs PyTorch and safetensors (pip install torch safetensors). The file is loaded with weights_only=True: it may hold
tensors and plain values, and is refused when it holds anything else. Names are kept, nested ones joined with dots; then
`gigacat import OUT.safetensors` says what the file is and renames them.
"""
import sys


def collect(value, path, tensors):
    import torch

    if isinstance(value, torch.Tensor):
        tensors[path] = value.detach().contiguous().clone()
    elif isinstance(value, dict):
        for key, item in value.items():
            collect(item, f"{path}.{key}" if path else str(key), tensors)
    elif isinstance(value, (list, tuple)):
        for i, item in enumerate(value):
            collect(item, f"{path}.{i}" if path else str(i), tensors)


def main():
    if len(sys.argv) != 3 or sys.argv[1].startswith("-"):
        print(__doc__.strip())
        return 0 if sys.argv[1:] in (["-h"], ["--help"]) else 2
    try:
        import torch
        from safetensors.torch import save_file
    except ImportError as error:
        print(f"error: {error}: pip install torch safetensors", file=sys.stderr)
        return 1
    source, out = sys.argv[1:]
    try:
        value = torch.load(source, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever torch says of the file
        print(f"error: {source}: {str(error).splitlines()[0]}", file=sys.stderr)
        return 1
    tensors = {}
    collect(value, "", tensors)
    if not tensors:
        print(f"error: {source} holds no tensors", file=sys.stderr)
        return 1
    save_file(tensors, out, {"format": "pt"})
    print(f"{len(tensors)} tensors in {out}; go on with: gigacat import {out} -o weights/")
    return 0


if __name__ == "__main__":
    sys.exit(main())
