"""Prints what the tensorboard package reads from a folder of event files, as JSON: scalars, images and texts by tag.

usage: read_events.py FOLDER
"""
import json
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator, IMAGES, SCALARS, TENSORS


def main(folder):
    events = EventAccumulator(folder, size_guidance={SCALARS: 0, IMAGES: 0, TENSORS: 0})
    events.Reload()
    tags = events.Tags()
    texts = [tag for tag in tags["tensors"] if events.SummaryMetadata(tag).plugin_data.plugin_name == "text"]
    json.dump({
        "scalars": {tag: [[e.step, e.value] for e in events.Scalars(tag)] for tag in tags["scalars"]},
        "images": {tag: [[e.step, e.height, e.width, len(e.encoded_image_string)] for e in events.Images(tag)]
                   for tag in tags["images"]},
        "texts": {tag: [[e.step, e.tensor_proto.string_val[0].decode()] for e in events.Tensors(tag)] for tag in texts},
    }, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
