#!/bin/sh
# Unpack Debian's bitcoind (package bitcoin-knots, suite sid) and the trixie libraries it needs
# into the directory given. Installs nothing, leaves the system's libc alone, needs no root.
# For regtest only: this package left Bitcoin's main chain in August 2026.
set -eu
D=${1:-btcnode}; mkdir -p "$D"; D=$(cd "$D" && pwd); cd "$D"
mkdir -p apt/lists/partial apt/cache/archives/partial debs fs; : > apt/status
eval "$(apt-config shell E Dir::Etc/d P Dir::Etc::sourceparts/d)"   # where this box keeps its sources
M=$(cat "$P"debian.sources "$E"sources.list 2>/dev/null |
    sed -n 's|^URIs: *\([^ ]*\).*|\1|p; s|^deb  *\(\[[^]]*\]  *\)\{0,1\}\([^ ]*\) .*|\2|p' | head -n 1)
for s in trixie sid; do echo "deb $M $s main"; done > apt/sources.list
cat > apt/apt.conf <<X
Dir::Etc::sourcelist "$D/apt/sources.list";
Dir::Etc::sourceparts "-";
Dir::State "$D/apt";
Dir::State::lists "$D/apt/lists";
Dir::State::status "$D/apt/status";
Dir::Cache "$D/apt/cache";
APT::Install-Recommends "false";
APT::Sandbox::User "";
Acquire::Languages "none";
Acquire::Check-Valid-Until "false";
X
export APT_CONFIG="$D/apt/apt.conf"
apt-get -qq update
L="libc6 libevent-core-2.1-7t64 libevent-extra-2.1-7t64 libevent-pthreads-2.1-7t64 libgcc-s1"
L="$L libsqlite3-0 libstdc++6 libzmq5"
# shellcheck disable=SC2086
N=$(apt-get install -y -t trixie --print-uris $L | sed -n "s/^'.*' \([^_]*\)_.*/\1/p")
# shellcheck disable=SC2086
(cd debs && apt-get -qq -t trixie download $N && apt-get -qq -t sid download bitcoin-knots)
for f in debs/*.deb; do dpkg-deb -x "$f" fs; done
for p in bitcoind bitcoin-cli; do
# The loader of the unpacked libc starts the program, since LD_LIBRARY_PATH alone mixes two libcs.
printf '%s\n' '#!/bin/sh' 'H=$(cd "$(dirname "$0")" && pwd); R=$H/fs/usr' \
 'exec "$R/lib64/ld-linux-x86-64.so.2" --library-path "$R/lib/x86_64-linux-gnu" "$R/bin/$(basename "$0")" "$@"' > "$p"
chmod +x "$p"; done
rm -rf apt/lists apt/cache debs
./bitcoind --version | head -n 1
