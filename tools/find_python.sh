#!/bin/sh
# Print the first Python that is new enough. A Mac's own python3 is 3.9, so others are tried too.
for candidate in "$@" python3 python3.13 python3.12 python3.11; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        command -v "$candidate"
        exit 0
    fi
done
echo "Python 3.11 or newer is needed and was not found; name one with: make PYTHON=/path/to/python3" >&2
exit 1
