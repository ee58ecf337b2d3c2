# Sourced by the command-line tests that make safetensors files, after tests/tally.sh.

# The 8 bytes of a header's length, below 2^24.
safetensors_length() {
    printf "\\$(printf %o $(($1 % 256)))\\$(printf %o $(($1 / 256 % 256)))\\$(printf %o \
        $(($1 / 65536)))\\0\\0\\0\\0\\0"
}

# A file of a header (its escapes resolved by printf) and some zero bytes: PATH HEADER N_DATA
write_safetensors() {
    printf "$2" >"$scratch/header"
    {
        safetensors_length "$(wc -c <"$scratch/header")"
        cat "$scratch/header"
        head -c "$3" /dev/zero
    } >"$1"
}

x() { # SHAPE FROM TO [DTYPE]: an entry of the header
    printf '{"dtype":"%s","shape":%s,"data_offsets":[%s,%s]}' "${4:-F32}" "$1" "$2" "$3"
}
