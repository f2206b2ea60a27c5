# The outer door: what a login runs, on any host, whatever its shell and our version.
#
# It travels as the one constant command of an SSH channel, squeezed into one line, and is kept
# as `door` in the state folder for keys that may run nothing else. So it is POSIX sh, calls no
# program but Python and, on a Mac, sysctl, and holds no quote, exclamation mark or doubled backslash that bash, zsh,
# fish or csh would take for their own. Each line ends in what lets the next one follow it, on the
# same line as well as on one of its own.
#
# The first line on standard input says what is wanted:
#   run CODE PACKAGES PYTHON    hand the channel to the supervisor
#   put CODE PACKAGES PYTHON    take an installer, and what it asks for, from standard input
# CODE and PACKAGES are digests (PACKAGES may be -), PYTHON is a path or -.

umask 077;
say() { printf "\0macgpu-%s\n" "$*"; };
fail() { say error "$@"; exit 0; };

# `read` takes the line and no byte more: what follows it is for the program below.
IFS=" " read -r verb code packages python || exit 0;
case "$verb $code $packages" in
  *[./]* | *" ") fail bad-line the first line is not understood ;;
  "run "* | "put "*) ;;
  *) fail bad-line the first line is not understood ;;
esac;
case "$python" in
  - | /*) ;;
  "~/"*) python="$HOME/${python#??}" ;;
  *) fail bad-line an interpreter is an absolute path ;;
esac;

mac=; [ -d /System/Library/CoreServices ] && mac=yes;
if [ -n "${MACGPU_STATE:-}" ]; then state=$MACGPU_STATE;
elif [ "$mac" ]; then state="$HOME/Library/Application Support/macgpu";
else state="${XDG_STATE_HOME:-$HOME/.local/state}/macgpu"; fi;

if [ "$verb" = run ]; then
  [ -f "$state/code/$code/complete" ] || { say need code; exit 0; };
  [ "$packages" = - ] || [ -f "$state/packages/$packages/complete" ] ||
    { say need packages; exit 0; };
  if [ "$python" = - ] && [ -f "$state/python" ]; then read -r python < "$state/python"; fi;
  [ -x "$python" ] || { say need python; exit 0; };
  exec "$python" -I -S -c "import sys; sys.path.insert(0, sys.argv[1]); from jupyter_macgpu.mac.door import main; main(sys.argv[2])" "$state/code/$code" "$packages";
fi;

# An interpreter by its absolute path. A Mac's own /usr/bin/python3 is never called: without the
# developer tools it opens a window on the owner's screen. One for Intel runs on Apple silicon too,
# translated, and sees no GPU.
old=; dead=; intel=; found=;
apple=; [ "$mac" ] && [ "$(sysctl -n hw.optional.arm64 2> /dev/null)" = 1 ] && apple=yes;
try() {
  [ -f "$1" ] && [ -x "$1" ] || return 1;
  if [ "$mac" ] && [ "$1" -ef /usr/bin/python3 ]; then return 1; fi;
  version=$("$1" -I -S -c "import os, sys; print(sys.version[:4], os.uname()[4])" < /dev/null 2> /dev/null);
  machine=${version#* }; version=${version%% *};
  if [ "$apple" ] && [ "$machine" = x86_64 ]; then intel="$intel $1"; return 1; fi;
  case "$version" in
    3.1[1-9] | 3.[2-9][0-9]) found=$1; return 0 ;;
    "") dead="$dead $1" ;;
    *) old="$old $1 (${version%.})" ;;
  esac;
  return 1;
};
search() {
  for minor in 19 18 17 16 15 14 13 12 11 ""; do
    name=3.$minor; [ "$minor" ] || name=3;
    set -- /opt/homebrew/bin /usr/local/bin /opt/local/bin;
    set -- "$@" /Library/Frameworks/Python.framework/Versions/"$name"/bin "$HOME"/.local/bin;
    set -- "$@" "$HOME"/.local/share/uv/python/cpython-"$name"*/bin;
    set -- "$@" "$HOME"/.pyenv/versions/"$name"*/bin "$HOME"/miniforge3/bin;
    set -- "$@" "$HOME"/mambaforge/bin "$HOME"/miniconda3/bin "$HOME"/anaconda3/bin;
    set -- "$@" /opt/homebrew/Caskroom/mini*/base/bin /opt/miniconda3/bin /opt/anaconda3/bin;
    for folder in "$@" /opt/conda/bin /usr/bin; do
      try "$folder/python$name" && return 0;
    done;
  done;
  return 1;
};
if [ "$python" = - ]; then
  search || { [ "$intel" ] && fail intel-python "$intel";
    [ "$old" ] && fail old-python "$old"; fail no-python "$dead"; };
elif [ "$mac" ] && [ "$python" -ef /usr/bin/python3 ]; then fail mac-python "$python";
else try "$python" || { [ "$intel" ] && fail intel-python "$intel"; [ "$old" ] && fail old-python "$old"; fail bad-python "$python"; }; fi;
exec "$found" -I -S -c "import sys; f = sys.stdin.buffer; n = int(f.readline(9)); p = f.read(n); len(p) == n and exec(compile(p, \"macgpu-install\", \"exec\"))" "$state" "$code" "$packages";
