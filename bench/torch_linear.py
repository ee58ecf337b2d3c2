"""torch.nn.functional.linear on the shapes of bench/kernels.c, float32 and bfloat16: rows appended to
the same TSV. usage: torch_linear.py --threads N --rows R,R… --out FILE.tsv"""
import argparse
import time

import torch

SHAPES = [(14336, 4096), (4096, 14336), (4096, 4096), (128256, 4096), (1536, 576)]
FLUSH = 128 << 20  # as in kernels.c: weights come from memory


def seconds(weights, x):
    best, begin, run = None, time.perf_counter(), 0
    while run < 2 or time.perf_counter() - begin < 0.5:
        start = time.perf_counter()
        torch.nn.functional.linear(x, weights[run % len(weights)])
        elapsed = time.perf_counter() - start
        best = elapsed if best is None else min(best, elapsed)
        run += 1
    return best


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--rows", required=True)
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.set_grad_enabled(False)
    rows = [int(r) for r in args.rows.split(",")]
    with open(args.out, "a", encoding="ascii") as out:
        for name, dtype in (("f32", torch.float32), ("bf16", torch.bfloat16)):
            print(f"\n{name} by torch {torch.__version__}, {args.threads} thread(s): GFLOP/s")
            for n_out, n_in in SHAPES:
                copies = min(FLUSH // (n_out * n_in * 2) + 1, 96)
                weights = [torch.randn(n_out, n_in).to(dtype) for _ in range(copies)]
                print(f"{n_out:7} {n_in:6}", end="")
                for r in rows:
                    s = seconds(weights, torch.randn(r, n_in).to(dtype))
                    print(f"{2e-9 * n_out * n_in * r / s:9.1f}", end="", flush=True)
                    out.write(f"{name}\ttorch\t{args.threads}\t{n_out}\t{n_in}\t{r}\t{s:.9g}\tNA\tNA\n")
                print()


main()
