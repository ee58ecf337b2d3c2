#!/bin/sh
# Mends a Bochs source tree so that Linux can use AMX in it: for tests/full/amx_in_bochs.sh, which says
# how to build one. TDPBF16PS itself is as in Intel's manual and stays as it is; wrong or lacking in the
# Bochs of August 2026 (commit 783b58f) is, by the SDM, volume 1, 13.14, and volume 2:
#  - extended feature disable (XFD), without which Linux gives no process AMX: two registers, CPUID's
#    bits, #NM for what needs tiles (not for LDTILECFG, STTILECFG, TILERELEASE)
#  - STTILECFG and XSAVE write a tile's rows where its columns belong, and its columns for its rows
#  - XSAVE and XRSTOR take 8 rows of a tile, of 16; XSAVE takes tiles in use for unused ones
#  - CPUID's size of XSAVES's area leaves the alignment of tiles out; Linux then does without XSAVE
#  - code that was written over is run from the decoded copy: where AMX is on, the copies lie at other
#    places than where they are looked for
#  - VCVTNE2PS2BF16 takes its upper half from beyond the register
#  - under flush-to-zero a difference of floats of one exponent is zero up to 2^-125, not 2^-126
# usage: sh tests/full/bochs_for_amx.sh FOLDER, the one with bochs's configure
set -eu
cd "$1/cpu"

mend() { # FILE SED-PROGRAM: each file is to change
    sed "$2" "$1" >mended.tmp
    if cmp -s "$1" mended.tmp; then
        echo "cpu/$1: not as expected, or mended already" >&2
        exit 1
    fi
    mv mended.tmp "$1"
}

mend avx/amx.h '
s/start_row(0) {}/start_row(0), tile_use_tracker(0), xfd(0), xfd_err(0) {}/
/^  unsigned tile_use_tracker;/a\
  Bit64u xfd, xfd_err; // IA32_XFD, IA32_XFD_ERR
'
for_tiles='s/^{$/{\
  if (BX_CPU_THIS_PTR amx->xfd \& (1 << xcr0_t::BX_XCR0_XTILEDATA_BIT)) {\
    BX_CPU_THIS_PTR amx->xfd_err = 1 << xcr0_t::BX_XCR0_XTILEDATA_BIT;\
    exception(BX_NM_EXCEPTION, 0);\
  }/'
mend avx/amx.cc "
/::check_tile(/,/^}/ $for_tiles
/::TILEZERO_Tnnn(/,/^}/ $for_tiles
"
mend xsave.cc '
s/\(vmm16u(8+n) *= .*\)\.rows;/\1.bytes_per_row;/
s/\(vmmubyte(48+n) *= .*\)\.bytes_per_row;/\1.rows;/
s/row < BX_TILE_REGISTERS/row < BX_TILE_MAX_ROWS/
s/return (BX_CPU_THIS_PTR amx->tile_use_tracker == 0);.*/return BX_CPU_THIS_PTR amx->tile_use_tracker != 0 \&\& BX_CPU_THIS_PTR amx->xfd == 0;/
'
mend cpuid.cc '
s/^      max_size += xsave_restore\[n\].len;/      max_size = ((xsave_restore[n].attr \& BX_XSAVE_ALIGN64) ? (max_size + 63) \& ~63u : max_size) + xsave_restore[n].len;/
/get_std_cpuid_xsave_leaf/,/^}/s/^    leaf->eax = 0;/    leaf->eax = is_cpu_extension_supported(BX_ISA_AMX) ? 1 << 4 : 0;/
'
mend crregs.cc 's/\(XTILEDATA_BIT\]\.attr *= BX_XSAVE_ALIGN64\);/\1 | BX_XSAVE_XFD_SUPPORT;/'
mend msr.cc '
/^#include "msr.h"/a\
#include "avx/amx.h"
/msr_desc\[BX_MSR_XSS\] =/a\
  msr_desc[BX_MSR_IA32_XFD] = new MSR_Descriptor("MSR_IA32_XFD", BX_ISA_AMX, ~Bit64u(1 << xcr0_t::BX_XCR0_XTILEDATA_BIT));\
  msr_desc[BX_MSR_IA32_XFD_ERROR] = new MSR_Descriptor("MSR_IA32_XFD_ERR", BX_ISA_AMX);
/^    case BX_MSR_XSS:$/i\
    case BX_MSR_IA32_XFD: val64 = BX_CPU_THIS_PTR amx->xfd; break;\
    case BX_MSR_IA32_XFD_ERROR: val64 = BX_CPU_THIS_PTR amx->xfd_err; break;
/^    case BX_MSR_XSS: /i\
    case BX_MSR_IA32_XFD: BX_CPU_THIS_PTR amx->xfd = val_64; break;\
    case BX_MSR_IA32_XFD_ERROR: BX_CPU_THIS_PTR amx->xfd_err = val_64; break;
'
mend avx/avx512_bf16.cc '
s/convert_ne_fp32_to_bfloat16(op1.vmm32u(n))/convert_ne_fp32_to_bfloat16(op1.vmm32u(n - DWORD_ELEMENTS(len)))/
'
mend softfloat3e/s_subMagsF32.cc 's/if (!expZ && sigDiff) {/if (!expZ \&\& (sigDiff << shiftDist) < 0x00800000) {/'
mend icache.h 's/^    if (line_mask > mask) break;/    (void)line_mask;/'
