#!/bin/sh
# servers.sh SUITE FOLDER
#
# Brings the Redis and Valkey servers of another Debian suite (trixie, sid, ...) to this machine
# without installing them: the packages and the libraries that they link are downloaded through the
# machine's own apt sources with the suite replaced, and unpacked below FOLDER. What to run is
#
#     FOLDER/bin/{redis,valkey}-{server,cli}
#
# which start the programs under the loader and the C library that came with them. It needs neither
# root nor any change to the system: apt works here on lists, caches and a status file of its own.
# Its keyrings and configuration (proxies) are the machine's; an unsigned or badly signed archive
# ends the script.
set -eu

suite=${1:?usage: servers.sh SUITE FOLDER}
folder=${2:?usage: servers.sh SUITE FOLDER}

fail() { echo "$*" >&2; exit 1; }

for tool in apt-get apt-cache dpkg; do
  command -v "$tool" >/dev/null || fail "$tool is not here: the servers are unpacked from Debian packages"
done
[ -r /etc/os-release ] || fail "no /etc/os-release: is this Debian?"
own=$(. /etc/os-release; echo "${VERSION_CODENAME:-}")
system=$(. /etc/os-release; echo "${ID:-}")
[ -n "$own" ] || fail "/etc/os-release names no suite"
# Another system's sources do not know Debian's suites; its own suite can be had everywhere.
[ "$system" = debian ] || [ "$suite" = "$own" ] || fail "this is $system: it has no suite $suite"

mkdir -p "$(dirname "$folder")"
folder=$(cd "$(dirname "$folder")" && pwd)/$(basename "$folder")
# Everything happens beside the folder, which appears whole or not at all.
work=$(dirname "$folder")/.$(basename "$folder").$$
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM HUP
mkdir -p "$work/sources" "$work/lists/partial" "$work/cache/archives/partial" \
  "$work/packages" "$work/new/root" "$work/new/bin"
: > "$work/status"

# 1. The machine's sources with the suite replaced. Only what names the plain suite is kept: that
#    drops security, updates, backports and third parties. Options and Signed-By are carried over.
for file in /etc/apt/sources.list.d/*.sources; do
  [ -f "$file" ] || continue
  awk -v RS= -v ORS='\n\n' -v own="$own" -v suite="$suite" '
    { keep = 0; stanza = ""
      count = split($0, line, "\n")
      for (i = 1; i <= count; i++) {
        if (line[i] ~ /^#/) continue
        if (line[i] ~ /^Suites:/) {
          names = split(line[i], name, /[ \t]+/)
          for (j = 2; j <= names; j++) if (name[j] == own) keep = 1
          line[i] = "Suites: " suite
        }
        if (line[i] ~ /^Types:/) line[i] = "Types: deb"
        if (line[i] ~ /^Components:/ && suite != own) line[i] = "Components: main"
        stanza = stanza (stanza == "" ? "" : "\n") line[i]
      }
      if (keep) print stanza
    }' "$file" > "$work/sources/$(basename "$file")"
done
for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
  [ -f "$file" ] || continue
  if [ "$suite" = "$own" ]; then components='\3'; else components='main'; fi
  sed -nE "s#^(deb +(\[[^]]*\] +)?[^ ]+ +)$own +(.*)#\1$suite $components#p" "$file" \
    > "$work/sources/$(basename "$file")"
done
find "$work/sources" -size 0 -delete
[ -n "$(ls "$work/sources")" ] || fail "no apt source names the suite $own"

# 2. Apt on folders of its own. `sourcelist` takes the one-line format only, so that the sources go in
#    as `sourceparts`; the empty status file makes apt forget the libraries that are installed.
private() {
  program=$1; shift
  "$program" -q \
    -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$work/sources" \
    -o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null \
    -o Dir::State::Lists="$work/lists" -o Dir::State::status="$work/status" \
    -o Dir::Cache="$work/cache" -o APT::Default-Release= -o APT::Sandbox::User=root \
    -o APT::Update::Error-Mode=any \
    -o Acquire::Languages=none -o Acquire::Retries=3 -o Acquire::http::Timeout=30 "$@"
}
private apt-get update >"$work/log" 2>&1 || { grep '^[EW]:' "$work/log" >&2; fail "its packages could not be listed"; }

# 3. The servers that the suite has, and the libraries that they need, and those that these need.
#    Programs among the dependencies (adduser, init helpers) serve the installation alone.
wanted=
for package in redis-server redis-tools valkey-server valkey-tools; do
  if private apt-cache show "$package" >/dev/null 2>&1; then wanted="$wanted $package"; fi
done
[ -n "$wanted" ] || fail "it has neither redis-server nor valkey-server"
newest=$wanted
while [ -n "$newest" ]; do
  # shellcheck disable=SC2086 # lists of package names
  needed=$(private apt-cache depends --no-recommends --no-suggests --no-conflicts --no-breaks \
    --no-replaces --no-enhances $newest | sed -nE 's/^ +(Pre)?Depends: ((lib|lua-|zlib1g)[^ :]*).*/\2/p' | sort -u)
  newest=
  for package in $needed; do
    case " $wanted " in *" $package "*) ;; *) newest="$newest $package" ;; esac
  done
  wanted="$wanted $newest"
done
# shellcheck disable=SC2086
(cd "$work/packages" && private apt-get download $wanted) >"$work/log" 2>&1 \
  || { grep '^[EW]:' "$work/log" >&2; fail "its packages could not be downloaded"; }
for package in "$work"/packages/*.deb; do dpkg -x "$package" "$work/new/root"; done

# 4. One small script a program. The paths in it are those of the finished folder.
cd "$work/new"
libc=$(find root -name libc.so.6 | head -n 1)
loader=$(find root \( -name 'ld-linux*.so.*' -o -name 'ld64.so.*' \) | head -n 1)
[ -n "$libc" ] && [ -n "$loader" ] || fail "its packages brought no C library"
machine=$(basename "$(dirname "$libc")")
for program in redis-server redis-cli valkey-server valkey-cli; do
  [ -e "root/usr/bin/$program" ] || continue
  cat > "bin/$program" <<END
#!/bin/sh
exec "$folder/$loader" --argv0 "\$0" \\
  --library-path "$folder/root/usr/lib/$machine:$folder/root/lib/$machine" \\
  "$folder/root/usr/bin/$program" "\$@"
END
  chmod +x "bin/$program"
done
cd /
rm -rf "$folder"
mv "$work/new" "$folder"
