#!/bin/sh
# AMX without a processor that has it: Linux in the Bochs emulator, and in it the tests of AMX and
# `plens dump` with AMX against scalar C. Guards against what software tiles cannot show: encodings, the
# tile configuration, Linux's permission, the state kept when processes alternate. Says nothing of speed.
#
# Wanted, or it skips, saying so:
#   BOCHS         bochs in its built source tree [https://github.com/bochs-emu/Bochs], after
#                     sh tests/full/bochs_for_amx.sh bochs && cd bochs && ./configure --with-nogui
#                     --enable-cpu-level=6 --enable-x86-64 --enable-avx --enable-evex --enable-amx
#                     --enable-protection-keys --enable-long-phy-address --enable-pci
#                     --enable-all-optimizations && make
#   BOCHS_KERNEL  Linux 5.16 or later with initramfs and serial console built in (tried: the vmlinuz
#                 of Debian 12's linux-image-cloud-amd64)
#   in PATH       xorriso; a static busybox (or BUSYBOX); SYSLINUX's files (Debian: isolinux and
#                 syslinux-common) below /usr/lib (or in the one folder SYSLINUX)
# Some twenty minutes of one core.
set -u
. tests/tally.sh
: "${BUSYBOX:=$(command -v busybox)}" "${BOCHS:=}" "${BOCHS_KERNEL:=}" "${SYSLINUX:=}"
isolinux=${SYSLINUX:-/usr/lib/ISOLINUX}/isolinux.bin
ldlinux=${SYSLINUX:-/usr/lib/syslinux/modules/bios}/ldlinux.c32
if [ ! -x "$BOCHS" ] || [ ! -f "$BOCHS_KERNEL" ]; then
    skip "AMX in Bochs: set BOCHS and BOCHS_KERNEL, see tests/full/amx_in_bochs.sh"
elif ! command -v xorriso >"$scratch/log" || [ ! -x "$BUSYBOX" ]; then
    skip "AMX in Bochs: needs xorriso and busybox"
elif [ ! -f "$isolinux" ] || [ ! -f "$ldlinux" ]; then
    skip "AMX in Bochs: needs isolinux.bin and ldlinux.c32"
fi
[ "$skipped" -eq 0 ] || finish

units="amx amx_permission engine products selftest"
root=$scratch/root disc=$scratch/disc
mkdir -p "$root/bin" "$root/models" "$root/dev" "$root/proc" "$root/tmp" "$disc"

# ---- What runs there: programs that need no library, models, and a script ----
make -s BUILD="$scratch/static" LDFLAGS=-static "$scratch/static/plens" \
    $(printf "$scratch/static/tests/unit/%s " $units) >"$scratch/log" 2>&1 ||
    { cat "$scratch/log"; check "static programs are built" false; finish; }
cp "$scratch/static/plens" "$BUSYBOX" "$root/bin/"
for unit in $units; do
    cp "$scratch/static/tests/unit/$unit" "$root/bin/test-$unit"
done
[ "$root/bin/${BUSYBOX##*/}" = "$root/bin/busybox" ] || mv "$root/bin/${BUSYBOX##*/}" "$root/bin/busybox"
cp -r tests/fixtures/models/qwen3-biases tests/fixtures/models/qwen2-layer-types \
    tests/fixtures/models/llama3-rope-shards tests/fixtures/models/mistral-window "$root/models/"
# Wider than a part of K (1024, 768), no multiple of a tile.
"$CC" -std=c99 -O2 -o "$scratch/make_checkpoint" bench/make_checkpoint.c &&
    "$scratch/make_checkpoint" "$root/models/wide" --like smollm2-135m --layers 1 --hidden 1064 \
        --ffn 1101 --heads 3 --kv-heads 1 --head-dim 24 --vocab 120 >"$scratch/log" 2>&1
cat >"$root/init" <<'END'
#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc none /proc
mount -t devtmpfs none /dev
exec >/dev/ttyS0 2>&1
check() {
    what=$1
    shift
    if "$@" >/tmp/log; then echo "passed: $what"; else echo "FAILED: $what"; tail -n 8 /tmp/log | sed "s/^/    /"; fi
}
row() { seq "$1" | awk '{ printf "%s%d", (NR > 1 ? "," : ""), $1 * 17 % 46 }'; }
dump() { plens dump --quiet --model "/models/$1" --precision "$2" --ids "$(row "$3")" --isa "$4" --out "/tmp/$5"; }
same() { # MODEL PRECISION TOKENS; two processes with tiles at a time
    dump "$1" "$2" "$3" scalar want || return 1
    dump "$1" "$2" "$3" amx one &
    dump "$1" "$2" "$3" amx two && wait $! && cmp /tmp/want /tmp/one && cmp /tmp/want /tmp/two
}
chosen() { plens info --model /models/qwen3-biases | grep -A2 ^kernels | tee /tmp/info; grep -qx '  amx: chosen for bf16, bf16x3' /tmp/info; }
unit() { "test-$1" >/tmp/unit; tail -n 3 /tmp/unit; tail -n 1 /tmp/unit | grep -q '^[1-9][0-9]* passed, 0 failed, 0 skipped'; }
check "plens info chooses AMX" chosen
check "unit test amx_permission" unit amx_permission
for model in qwen3-biases qwen2-layer-types llama3-rope-shards mistral-window wide; do
    for precision in bf16 bf16x3; do
        [ $model$precision != mistral-windowbf16x3 ] || continue # not for these weights
        for tokens in 1 3 16 40; do
            check "$model, $precision, $tokens rows: amx as scalar" same $model $precision $tokens
        done
    done
done
for test in amx engine products selftest; do
    check "unit test $test" unit $test
done
echo "the end"
sleep 2 # of emulated time: the serial line is slow
poweroff -f
END
chmod +x "$root/init"

# ---- The machine ----
(cd "$root" && find . | ./bin/busybox cpio -o -H newc 2>"$scratch/log" | gzip) >"$disc/initrd.gz"
cp "$BOCHS_KERNEL" "$disc/vmlinuz"
cp "$isolinux" "$ldlinux" "$disc/"
# fsrm (580): Bochs has it without ERMS, which Linux's memmove takes to come together.
cat >"$disc/isolinux.cfg" <<END
default plens
label plens
kernel vmlinuz
append initrd=initrd.gz console=ttyS0 quiet loglevel=1 mitigations=off nokaslr tsc=reliable panic=-1 clearcpuid=580
END
xorriso -as mkisofs -quiet -o "$scratch/disc.iso" -b isolinux.bin -c boot.cat -no-emul-boot \
    -boot-load-size 4 -boot-info-table "$disc" >"$scratch/log" 2>&1 || cat "$scratch/log"
bios=$(dirname "$BOCHS")/bios
cat >"$scratch/bochsrc" <<END
display_library: nogui
cpu: model=sapphire_rapids, count=1, ips=100000000, reset_on_triple_fault=0, ignore_bad_msrs=1
memory: guest=512, host=512
romimage: file=$bios/BIOS-bochs-latest
vgaromimage: file=$bios/VGABIOS-lgpl/VGABIOS-lgpl-latest.bin
ata0-master: type=cdrom, path=$scratch/disc.iso, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev=$scratch/serial
log: $scratch/bochs.log
panic: action=fatal
END
"$BOCHS" -q -f "$scratch/bochsrc" >"$scratch/log" 2>&1
tr -d '\r' <"$scratch/serial" | grep -E -A8 '^(passed|FAILED): ' | tee "$scratch/lines"
passed=$((passed + $(grep -c '^passed: ' "$scratch/lines")))
failed=$((failed + $(grep -c '^FAILED: ' "$scratch/lines")))
check "Linux came to its end" grep -q '^the end' "$scratch/serial"
finish
