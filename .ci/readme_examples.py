"""Run every python block and every `interface ...` command line of a README, in order, in one folder."""

import re
import shlex
import subprocess
import sys
import time
from pathlib import Path


def main(readme: str) -> None:
    blocks = re.findall(r"^```(python|console)\n(.*?)^```$", Path(readme).read_text(), flags=re.M | re.S)
    python = [code for kind, code in blocks if kind == "python"]
    commands = [
        line[2:] for kind, code in blocks if kind == "console" for line in code.splitlines() if line.startswith("$ interface ")
    ]
    if not python or not commands:
        sys.exit("the README has no python block, or no `$ interface` command: nothing was checked")
    for number, code in enumerate(python, 1):
        began = time.perf_counter()
        path = Path(f"readme_block_{number}.py")
        path.write_text(code)
        subprocess.run([sys.executable, str(path)], check=True)
        print(f"README python block {number}: ran in {time.perf_counter() - began:.1f} s", flush=True)
    for line in commands:
        program, *arguments = shlex.split(line)
        subprocess.run([str(Path(sys.executable).with_name(program)), *arguments], check=True)
        print(f"README command: {line}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
