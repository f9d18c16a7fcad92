"""Write groups.csv for the chest X-rays of Kermany et al.: one line a file, the person it shows as its group.

python write_groups.py PATH/TO/chest_xray > groups.csv
"""

import csv
import re
import sys
from pathlib import Path


def main(root: Path) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["file", "group"])
    for file in sorted(p for p in root.rglob("*") if p.suffix.lower() in (".jpeg", ".jpg", ".png")):
        # person1000_bacteria_2931.jpeg and IM-0115-0001.jpeg: the number before the last one is the person.
        match = re.match(r"(person\d+|(?:NORMAL\d*-)?IM-\d+)", file.name)
        writer.writerow([file.relative_to(root).as_posix(), match.group(1) if match else file.stem])


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
