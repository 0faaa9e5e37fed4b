"""``python -m rtcprobe``: the command, where its script is not on the path."""

from rtcprobe.cli import main

if __name__ == "__main__":
    main()
