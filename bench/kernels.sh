#!/bin/sh
# make bench: every matrix product against this machine's roof, torch's linear beside them where
# $PYTHON (python3) has torch, all in one run on an otherwise idle machine.
# usage: sh bench/kernels.sh [ROWS]      ROWS: 1,16,64,256,1024,4096
# Figures go to $BUILD/bench/kernels.tsv, a plot to $BUILD/bench/roofline.svg where matplotlib is.
set -eu
: "${BUILD:=build}" "${PYTHON:=python3}"
here=$(dirname "$0") rows=${1:-1,16,64,256,1024,4096}
out=$BUILD/bench/kernels.tsv
has() { "$PYTHON" -c "import $1" 2>/dev/null; }

printf 'precision\tisa\tthreads\tn_out\tn_in\trows\tseconds\tpeak\tbandwidth\n' >"$out"
threads=$(getconf _NPROCESSORS_ONLN)
for t in 1 "$threads"; do
    [ "$t" = 1 ] || [ "$threads" -gt 1 ] || continue
    "$BUILD/bench/kernels" --threads "$t" --rows "$rows" --out "$out"
    # the same bits on smaller machines: how fast
    "$BUILD/bench/kernels" --threads "$t" --rows "$rows" --precision f32 --isa avx2 --out "$out" ||
        echo "no AVX2 here"
    [ "$t" = "$threads" ] && break
done
"$BUILD/bench/attention"
if has torch; then
    "$PYTHON" "$here/torch_linear.py" --threads "$threads" --rows "$rows" --out "$out"
else
    echo "torch's linear: skipped, $PYTHON has no torch"
fi
if has matplotlib; then
    "$PYTHON" "$here/roofline.py" "$out" "$BUILD/bench/roofline.svg"
else
    echo "the plot: skipped, $PYTHON has no matplotlib"
fi
