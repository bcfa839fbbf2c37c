"""`make setup`: from an empty machine to a workspace that runs. Needs only Python, cmake and a C++ compiler.

    python3 scripts/set_up.py            do what is not done yet
    python3 scripts/set_up.py --again    do every step again
    python3 scripts/set_up.py --with train    bring torch as well, which training needs and a robot does not

This file keeps to syntax that old Pythons know, so that they get a sentence and not a SyntaxError; the work is in
workspace/.
"""

import sys

OLDEST, NEWEST = (3, 10), (3, 12)


def main():
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        sys.exit(
            "set-up needs Python {}.{} to {}.{}, this is {}.{}; name another one, for example: "
            "make setup PYTHON=python3.11".format(*OLDEST, *NEWEST, *sys.version_info[:2])
        )
    from workspace.main import main as set_up

    return set_up(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
