/* The generated tables behind unicode.c (tests/make_unicode.py says what is in them). */
#ifndef PLENS_LOADERS_UNICODE_TABLES_H
#define PLENS_LOADERS_UNICODE_TABLES_H

#include <stddef.h>
#include <stdint.h>

extern const size_t plens__n_category_runs;
extern const uint32_t plens__category_runs[];
extern const uint16_t plens__category_pages[];
extern const size_t plens__n_lower_runs;
extern const int32_t plens__lower_runs[];
extern const size_t plens__n_class_runs;
extern const uint32_t plens__class_runs[];

extern const size_t plens__n_decomposition_ranges;
extern const uint32_t plens__decomposition_ranges[];
extern const uint16_t plens__decomposition_offsets[];
extern const uint32_t plens__decomposition_pool[];
extern const size_t plens__n_compositions;
extern const uint32_t plens__compositions[];

#endif
