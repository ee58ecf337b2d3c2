#!/bin/sh
# Wrong usage is exit 2 with one line that says what is wrong and where help is.
set -u
. tests/tally.sh
. tests/refuses.sh

model=tests/fixtures/persona-world
wrong() { # PART ARGUMENT…
    wrong_part=$1
    shift
    check "exit 2" refuses 2 "plens: |$wrong_part|--help" "$plens" "$@"
}

prints() { # PART ARGUMENT…
    prints_part=$1
    shift
    "$plens" "$@" | grep -F -e "$prints_part"
}

check "help" prints "usage: plens COMMAND" --help
check "help" prints "usage: plens COMMAND" -h
check "version" prints "plens 0." --version
wrong "no command"
wrong "unknown command 'frobnicate'" frobnicate

# Guards against a command that goes on after its help.
helps() {
    [ -z "$("$plens" "$1" --help 2>&1 >/dev/null)" ] && "$plens" "$1" --help >/dev/null
}
for command in score merge lens dump audit tokenize info selftest self-bleu questions import \
    report; do
    check "help and nothing else: $command" helps "$command"
done

for command in score lens dump tokenize info; do
    check "help" prints "usage: plens $command" "$command" --help
    wrong "'--nonsense'" "$command" --nonsense
    wrong "'extra'" "$command" extra
    wrong "--model needs a value" "$command" --model
    wrong "--model is given twice" "$command" --model a --model b
    wrong "--threads takes a number" "$command" --threads 0
    wrong "'2x'" "$command" --threads 2x
    wrong "'-1'" "$command" --threads -1
    wrong "--threads takes a number" "$command" --threads 99999999999999999999
    wrong "--memory takes" "$command" --memory lots
    wrong "--memory takes" "$command" --memory 8X
    wrong "--memory takes" "$command" --memory 0
    wrong "--memory takes" "$command" --memory 99999999999T
    wrong "'sse'" "$command" --isa sse
    wrong "'f64'" "$command" --precision f64
    wrong "--quiet takes no value" "$command" --quiet=1
done
case $(uname -m) in
aarch64 | arm64) foreign=avx2 ;;
*) foreign=neon ;;
esac
for command in score lens dump info; do
    # shellcheck disable=SC2046  # what a command cannot do without, split into words
    wrong "another family of processors" "$command" --model "$model" --isa "$foreign" \
        $([ "$command" = score ] && echo --data q.tsv) \
        $([ "$command" = lens ] && echo --ids 1) $([ "$command" = dump ] && echo --ids 1 --out F)
done
wrong "--model DIR is missing" info
wrong "--model DIR is missing" tokenize
wrong "--model DIR is missing" score --data q.tsv

wrong "name is empty" info --model ""
wrong "name is empty" tokenize --model=
wrong "name is empty" score --model "" --data q.tsv

wrong "--resume needs --out" score --model "$model" --data q.tsv --resume
wrong "--force needs --out" score --model "$model" --data q.tsv --force
wrong "give one of them" score --model "$model" --data q.tsv --out o --resume --force
wrong "--checkpoint takes" score --model "$model" --data q.tsv --out o --checkpoint soon
wrong "--data FILE is missing" score --model "$model"
wrong "'neither'" score --model "$model" --data q.tsv --condition neither
wrong "'bare'" score --model "$model" --data q.tsv --gold-form bare
wrong "--out takes" score --model "$model" --data q.tsv --out ""
for ratios in 0 1.5 -0.2 0.2, ,0.2 0.2,0.2 0.2,0.20 1,1.0 half 0.12345678901 0,2 1e-1 ""; do
    wrong "--ratios" score --model "$model" --data q.tsv --ratios "$ratios"
done

for command in lens dump; do
    wrong "--text" "$command" --model "$model"
    wrong "--text" "$command" --model "$model" --text a --ids 1
    for ids in "" , 1, ,1 1,,2 one 1.5 "1 2" 1- -; do
        wrong "--ids takes" "$command" --model "$model" --ids "$ids"
    done
done
wrong "--out FILE is missing" dump --model "$model" --ids 1
for points in "" , z, ,z z,,q resid "z q" Z; do
    wrong "--points: unknown point" dump --model "$model" --ids 1 --out f --points "$points"
done
wrong "attn_pattern, z, head_out" dump --model "$model" --ids 1 --out f --points attn
wrong "--points names z twice" dump --model "$model" --ids 1 --out f --points z,q,z
for layers in "" 0 0-1 2-1 1- -1 - 1-2-3 x 1-x 99999999999; do
    wrong "--layers takes A-B" dump --model "$model" --ids 1 --out f --points z --layers "$layers"
done
wrong "--layers needs --points" dump --model "$model" --ids 1 --out f --layers 1
for positions in "" some last: last:0 last:-1 lasts last:1x 3- -3 3-1 1-2-3 99999999999999999999999999; do
    wrong "--positions takes" lens --model "$model" --ids 1 --positions "$positions"
done
for layers in "" 0 0-1 2-1 1- -1 - 1-2-3 x 1-x 99999999999; do
    wrong "--layers takes A-B" lens --model "$model" --ids 1 --layers "$layers"
done
wrong "--persona needs --text" lens --model "$model" --ids 1 --persona Tim
wrong "'rainbow'" lens --model "$model" --ids 1 --palette rainbow
wrong "'sometimes'" lens --model "$model" --ids 1 --color sometimes
wrong "--html and --svg name the same file" lens --model "$model" --ids 1 --html f --svg f
wrong "--top-k takes" lens --model "$model" --ids 1 --top-k 0
finish
