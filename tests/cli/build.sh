#!/bin/sh
# How the library builds, what it exports and imports, and that no compiler or option changes a bit.
set -u
. tests/tally.sh
if nm "$BUILD/libplens.a" | grep -q __asan_; then
    skip "a build with sanitizers is not the one that is installed"
    finish
fi
root=$(pwd)
warnings="-Wall -Wextra -Wpedantic -Werror"

# ---- no build system, other compilers, other options: the same bits ----

# The library as anyone may compile it, then the command linked to it.
compile() { # FOLDER COMPILER OPTION…
    mkdir -p "$1" && cd "$1" || return 1
    shift
    # shellcheck disable=SC2086  # CC may hold options
    $* -I"$root" -c "$root"/plens.c "$root"/runtime/*.c "$root"/runtime/kernels/*.c \
        "$root"/loaders/*.c &&
        ar rc libplens.a ./*.o &&
        $* -I"$root" -o plens "$root"/tests/harness/*.c libplens.a -lm -pthread
    code=$?
    cd "$root" || return 1
    return $code
}

dump() { # COMMAND MODEL OUT
    "$1" dump --model "$2" --ids 1,7,3,46,0,12,5,44,9,9,21,33,2,17,40 --out "$3" --quiet
}

same_dumps() { # FOLDER
    for model in $(model_folders); do
        name=$(echo "$model" | tr '/.' '__')
        dump "$1/plens" "$model" "$scratch/other" &&
            cmp "$scratch/dumps/$name" "$scratch/other" || return 1
        rm -f "$scratch/other"
    done
}

# Two files of one name would overwrite each other's object.
one_object_each() {
    set -- plens.c runtime/*.c runtime/kernels/*.c loaders/*.c
    sources=$#
    set -- "$scratch"/plain/*.o
    echo "$sources sources, $# objects"
    [ "$sources" -eq $# ]
}

builds() { # NAME COMPILER OPTION…
    folder=$scratch/$1
    shift
    check "builds with $*" compile "$folder" "$@"
    check "the same dumps from $*" same_dumps "$folder"
}

# The sums of the first dumps are what every other build must give.
mkdir "$scratch/dumps"
for model in $(model_folders); do
    check "dump runs" dump "$plens" "$model" "$scratch/dumps/$(echo "$model" | tr '/.' '__')"
done
builds plain "$CC" -O2
check "an object for every source" one_object_each
builds unoptimised "$CC" -O0
# Every instruction of this processor, fused ones too, is the compiler's to use.
builds native "$CC" -O3 -march=native
for compiler in gcc clang; do
    if ! command -v "$compiler" >/dev/null; then
        skip "no $compiler"
    elif [ "$compiler" != "$CC" ]; then
        builds "$compiler" "$compiler" -O2 -march=native
    fi
done
if echo 'int main(void) { return 0; }' >"$scratch/probe.c" &&
    $CC -fopenmp -o "$scratch/probe" "$scratch/probe.c" 2>/dev/null; then
    builds openmp "$CC" -O1 -fopenmp
else
    skip "$CC has no OpenMP"
fi

# ---- symbols ----

exports_only_plens() {
    nm -g --defined-only "$BUILD/libplens.a" | awk 'NF == 3 { print $3 }' |
        grep -v '^_*plens_' >"$scratch/foreign"
    cat "$scratch/foreign"
    [ ! -s "$scratch/foreign" ]
}

# "member symbol" for everything that the library does not define itself.
imports() {
    nm -A -u "$BUILD/libplens.a" | sed 's/^[^:]*:\([^:]*\):.* \([^ ]*\)$/\1 \2/' |
        grep -v ' _*plens_'
}

# Advice on pages, a clock for plens_profile. All else is suspect: printing, exiting, the environment, the locale, libm beyond what is exact.
imports_only_these() {
    allowed='memcpy|memmove|memset|memcmp|memchr|bcmp|strlen|strcmp|strncmp|strchr|strrchr|strpbrk|strcspn|strspn|strstr'
    allowed="$allowed|qsort|bsearch|snprintf|vsnprintf|realloc|free|sqrtf?|fmaf?|frexp|ldexp|floor"
    allowed="$allowed|(open|fstat|lstat|stat|pread|mmap)(64)?|close|munmap|strerror(_r)?"
    allowed="$allowed|__(f|l)?xstat(64)?|__errno_location|__error|sysconf|sched_getaffinity"
    allowed="$allowed|__sched_cpucount|GOMP_[a-z_]*|omp_get_[a-z_]*|__kmpc_[a-z_0-9]*"
    allowed="$allowed|pthread_(create|join|sigmask|(mutex|cond)_[a-z]*)|sigfillset"
    allowed="$allowed|posix_fadvise(64)?|madvise|clock_gettime"
    allowed="$allowed|__stack_chk_fail|__[a-z]*_chk|_GLOBAL_OFFSET_TABLE_|__cpu_model"
    imports | grep -Ev " ($allowed)\$" >"$scratch/foreign"
    cat "$scratch/foreign"
    [ ! -s "$scratch/foreign" ]
}

# Memory goes through the caller's allocator; its default is in plens.c.
allocates_in_one_place() {
    imports | grep -E ' (malloc|calloc|realloc|reallocarray|free|strdup|aligned_alloc)$' |
        grep -v '^plens\.o ' >"$scratch/foreign"
    cat "$scratch/foreign"
    [ ! -s "$scratch/foreign" ]
}

check "exports plens_ and plens__ alone" exports_only_plens
check "imports nothing that prints, exits or differs" imports_only_these
check "allocates through the hook" allocates_in_one_place

# ---- headers ----

header_stands_alone() { # HEADER COMPILER OPTION…
    header=$1
    shift
    printf '#include "%s"\ntypedef int after_it;\n' "$header" >"$scratch/header.c"
    # shellcheck disable=SC2086
    $* $warnings -I. -o "$scratch/header.o" -c "$scratch/header.c"
}

for header in plens.h loaders/*.h runtime/*.h runtime/kernels/kernels.h; do
    check "$header alone" header_stands_alone "$header" "$CC" -std=c99
done
for compiler in g++ clang++; do
    if command -v "$compiler" >/dev/null; then
        check "plens.h in C++" header_stands_alone plens.h "$compiler" -std=c++11 -x c++
    fi
done
command -v g++ >/dev/null || command -v clang++ >/dev/null || skip "no C++ compiler"

# ---- install ----

installs() {
    make install BUILD="$BUILD" CC="$CC" DESTDIR="$scratch/root" PREFIX=/usr || return 1
    find "$scratch/root" -type f | sort | sed "s|^$scratch/root||" >"$scratch/found"
    printf '%s\n' /usr/bin/plens /usr/include/plens.h /usr/lib/libplens.a >"$scratch/expected"
    diff "$scratch/expected" "$scratch/found"
}

# What is installed is enough to build a program with.
installed_is_enough() {
    cat >"$scratch/program.c" <<'EOF'
#include <plens.h>
#include <stdio.h>
int main(void) {
    plens_context *context = 0;
    plens_error error;
    if (plens_context_create(0, &context, &error) != PLENS_OK)
        return puts(error.message);
    plens_context_destroy(context);
    return 0;
}
EOF
    openmp=
    nm "$BUILD/libplens.a" | grep -Eq 'GOMP_|__kmpc_' && openmp=-fopenmp
    # shellcheck disable=SC2086
    $CC $openmp -I"$scratch/root/usr/include" -o "$scratch/program" "$scratch/program.c" \
        -L"$scratch/root/usr/lib" -lplens -lm -pthread && "$scratch/program"
}

uninstalls() {
    make uninstall DESTDIR="$scratch/root" PREFIX=/usr && [ -z "$(find "$scratch/root" -type f)" ]
}

check "make install" installs
check "a program on the installed library" installed_is_enough
check "make uninstall" uninstalls
finish
