"""What is run by a device's shell: POSIX, by dash, busybox and toybox alike.

What lies on the device, below the transport's base folder:

    files/SHA256           pushed files, for later runs; a month after their last use they go
    site-KEY/, bundle-KEY/ the runtimes; `.complete` has the digest of all files' names and sizes
    runs/XXXX/             one run's own: agent/ has our programs, files/ links to pushed files
    state/                 the lock, and the memory of changed settings (see agent/hold.py)
"""

from __future__ import annotations

from typing import Final

KEPT_DAYS: Final = 30

# Ends what the link's end does not: a process that neither reads nor writes. The variable tells it
# from another process that has got its number since.
_END: Final = """
is_alive() { grep -qsF "EDGESHUFFLE_RUN=$1" "/proc/$2/environ"; }
end() {
    for file in "$1"/pid-*; do
        pid=$(cat "$file" 2>/dev/null) && [ -n "$pid" ] || continue
        is_alive "$1" "$pid" && kill -9 "$pid"
    done
    rm -rf "$1"
}
"""
# A run whose keeper has ended is nobody's any more. BASE RUN
ENTER: Final = f"""{_END}
mkdir -p "$1/files" "$1/runs" "$1/state" && : >>"$1/state/lock" || exit 1
for old in "$1"/runs/*; do
    pid=$(cat "$old/pid-keeper" 2>/dev/null) && [ -n "$pid" ] || continue
    is_alive "$old" "$pid" || end "$old"
done
mkdir "$2" "$2/agent" "$2/files"
"""
# Lives as long as the link does. PIDFILE
KEEP: Final = """
echo $$ >"$1" && echo '{"kept": true}' && exec cat >/dev/null
"""
# RUN
LEAVE: Final = f"""{_END}
end "$1"
"""
# Whether a pushed file is there and what it should be. FILE SHA256
HAVE: Final = """
sum=$(sha256sum "$1" 2>/dev/null) && [ "${sum%% *}" = "$2" ] && touch "$1"
"""
# PART SHA256 FILE
PLACE: Final = """
sum=$(sha256sum "$1") || exit 1
if [ "${sum%% *}" != "$2" ]; then rm -f "$1"; echo "the copy differs" >&2; exit 1; fi
mv -f "$1" "$3"
"""
# Not a symbolic link: the agent looks for its neighbours beside the file that it really is.
# FILE LINK
LINK: Final = """
ln -f "$1" "$2" 2>/dev/null || cp -f "$1" "$2"
"""
_WHOLE: Final = """
sum() {
    (cd "$1" && find . -type f ! -path "*/__pycache__/*" ! -name .complete \\
        -exec stat -c "%s %n" {} + | LC_ALL=C sort | sha256sum)
}
is_whole() { [ -s "$1/.complete" ] && [ "$(cat "$1/.complete")" = "$(sum "$1")" ]; }
"""
# FOLDER
IS_WHOLE: Final = f"""{_WHOLE}
is_whole "$1" && touch "$1/.complete"
"""
_MAKE: Final = f"""{_WHOLE}
folder=$1; shift
part=$(mktemp -d "$folder.XXXXXXXX") || exit 1
trap 'rm -rf "$part"' EXIT
trap 'exit 1' HUP INT TERM
unpack "$@" && sum "$part" >"$part/.complete" || exit 1
# Another may have been faster, and be using it already.
is_whole "$folder" && exit 0
rm -rf "$folder" && mv "$part" "$folder"
rm -rf "$folder/${{part##*/}}"
"""
# FOLDER PYTHON WHEEL...
UNPACK_WHEELS: Final = f"""
unpack() {{
    python=$1; shift
    for wheel in "$@"; do
        "$python" -I -m zipfile -e "$wheel" "$part" || return 1
    done
}}
{_MAKE}"""
# FOLDER ARCHIVE
UNPACK_ARCHIVE: Final = f"""
unpack() {{ tar -xzf "$1" -C "$part"; }}
{_MAKE}"""
# Only for who holds the lock: nobody else is making anything. BASE
PRUNE: Final = f"""{_END}
cd "$1" || exit 1
rm -rf site-*.* bundle-*.*
for folder in site-* bundle-*; do
    [ -n "$(find "$folder/.complete" -mtime -{KEPT_DAYS} 2>/dev/null)" ] || rm -rf "$folder"
done
find files -type f -mtime +{KEPT_DAYS} -exec rm -f {{}} +
find files -type f -name "*.*" -mtime +0 -exec rm -f {{}} +
for old in "$1"/runs/*; do
    pid=$(cat "$old/pid-keeper" 2>/dev/null)
    is_alive "$old" "${{pid:-none}}" || [ -n "$(find "$old" -prune -mtime -1)" ] || end "$old"
done
exit 0
"""
