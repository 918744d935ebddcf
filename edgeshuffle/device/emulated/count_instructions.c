/* A TCG plugin for qemu-user: counts the AArch64 instructions that run, by class.
 *
 * The guest splits its run into regions by the system call 0x5E00, which no kernel has: argument k
 * begins region k and ends the one before. At the end of each region a JSON line is written to the
 * file given as `out=FILE`: {"region": k, "instructions": n, "dot": n, ...}.
 *
 * The file given as `blocks=FILE` holds what ran in the shortest of the regions since region 1: first
 * that region's line, then one for each block: {"runs": n, "code": "..."}, its code's bytes
 * in hexadecimal digits. `caches=SETSxWAYS:...` adds data caches, from the first level on, to it: the
 * line has "misses": [n, ...], one for each level.
 *
 * Every translated block gets one inline addition; the classes of its instructions are found once,
 * at translation. Counts are exact for one thread: the additions are not atomic.
 *
 * The plugin API is version 1 (qemu 4.2 to 8.2). Distributions ship no header for it, so what is
 * used is declared here, after docs/devel/tcg-plugins.rst. Encodings are those of the Arm
 * Architecture Reference Manual (DDI 0487), chapter C4.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data_caches.h"

#define EXPORT __attribute__((visibility("default")))
#define MARK 0x5E00
#define BUCKETS 65536
#define MAX_WORDS 512 /* qemu's TCG_MAX_INSNS */

typedef uint64_t plugin_id;
typedef struct {
    const char *target_name;
    struct {
        int min, cur;
    } version;
    bool system_emulation;
} plugin_info;
struct qemu_plugin_tb;
struct qemu_plugin_insn;

void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id,
                                           void (*)(plugin_id, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, int, void *, uint64_t);
void qemu_plugin_register_vcpu_syscall_cb(plugin_id,
                                          void (*)(plugin_id, unsigned, int64_t, uint64_t, uint64_t,
                                                   uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                                                   uint64_t));
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *,
                                      void (*)(unsigned, uint32_t, uint64_t, void *), int, int,
                                      void *);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *);

EXPORT int qemu_plugin_version = 1;

enum {
    DOT,           /* sdot, udot, and i8mm's matrix products */
    WIDENING_MAC,  /* smlal and its like: int8 products without dot */
    FMLA,          /* float multiply-add */
    SIMD_LOAD,
    SIMD_STORE,
    SIMD_OTHER,
    LOAD,
    STORE,
    BRANCH,
    OTHER,
    CLASSES
};
static const char *const class_names[CLASSES] = {
    "dot",        "widening_mac", "fmla",  "simd_load", "simd_store",
    "simd_other", "load",         "store", "branch",    "other"};

static bool matches(uint32_t word, uint32_t mask, uint32_t value) { return (word & mask) == value; }

static bool is_load(uint32_t word, bool simd)
{
    if (matches(word, 0x3B000000, 0x18000000)) /* from a literal */
        return true;
    if (matches(word, 0x3A000000, 0x38000000)) { /* one register: bits 23:22 are opc */
        unsigned opc = word >> 22 & 3;
        return simd ? opc & 1 : opc != 0;
    }
    return word >> 22 & 1; /* pairs, exclusives, SIMD structures */
}

static int simd_class(uint32_t word)
{
    unsigned opcode = word >> 12 & 15;
    if (matches(word, 0x9F20FC00, 0x0E009400) || /* sdot, udot (vector) */
        matches(word, 0x9F00F400, 0x0F00E000) || /* sdot, udot (by element) */
        matches(word, 0xBFE0FC00, 0x0E809C00) || /* usdot (vector) */
        matches(word, 0xBF40F400, 0x0F00F000) || /* usdot, sudot (by element) */
        matches(word, 0xDFE0F400, 0x4E80A400))   /* smmla, ummla, usmmla */
        return DOT;
    if (matches(word, 0x9F200C00, 0x0E200000)) /* three different: smlal, smlsl, smull */
        return opcode >= 8 && opcode <= 13 ? WIDENING_MAC : SIMD_OTHER;
    if (matches(word, 0x9F000400, 0x0F000000)) { /* by element */
        bool is_unsigned = word >> 29 & 1;
        if (opcode == 2 || opcode == 3 || opcode == 6 || opcode == 7 || opcode == 10 ||
            opcode == 11)
            return WIDENING_MAC;
        return !is_unsigned && (opcode == 1 || opcode == 5) ? FMLA : SIMD_OTHER;
    }
    if (matches(word, 0xBF20FC00, 0x0E20CC00) || /* fmla, fmls (vector) */
        matches(word, 0xBF60FC00, 0x0E400C00) || /* the same in half precision */
        matches(word, 0xFF208000, 0x1F000000))   /* fmadd (scalar) */
        return FMLA;
    if (matches(word, 0x9F3FFC00, 0x0E206800)) /* sadalp, uadalp */
        return WIDENING_MAC;
    return SIMD_OTHER;
}

static int classify(uint32_t word)
{
    if (matches(word, 0x0A000000, 0x08000000)) {
        bool simd = word >> 26 & 1, load = is_load(word, simd);
        return simd ? (load ? SIMD_LOAD : SIMD_STORE) : (load ? LOAD : STORE);
    }
    if (matches(word, 0x1C000000, 0x14000000))
        return BRANCH;
    if (matches(word, 0x0E000000, 0x0E000000))
        return simd_class(word);
    return OTHER;
}

/* A translated block; the same code may be translated more than once. */
typedef struct block {
    struct block *next;
    uint64_t address, runs, reported;
    uint32_t hash;
    uint16_t size, classes[CLASSES];
    uint64_t last; /* runs in the region that ended last */
    uint32_t words[];
} block;

static block *table[BUCKETS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static FILE *out;
static const char *blocks_path;
static uint64_t region, least;

static block *find(uint64_t address, size_t size, uint32_t hash, const uint16_t *classes,
                   const uint32_t *words)
{
    block **bucket = &table[(address >> 2 ^ size) % BUCKETS];
    for (block *b = *bucket; b; b = b->next)
        if (b->address == address && b->size == size && b->hash == hash)
            return b;
    block *made = calloc(1, sizeof *made + size * sizeof *words);
    if (!made)
        abort();
    made->address = address;
    made->size = (uint16_t)size;
    made->hash = hash;
    memcpy(made->classes, classes, sizeof made->classes);
    memcpy(made->words, words, size * sizeof *words);
    made->next = *bucket;
    return *bucket = made;
}

static void on_translation(plugin_id id, struct qemu_plugin_tb *tb)
{
    (void)id;
    uint16_t classes[CLASSES] = {0};
    uint32_t hash = 2166136261u; /* FNV-1a */
    size_t size = qemu_plugin_tb_n_insns(tb);
    uint32_t words[MAX_WORDS];
    if (size > MAX_WORDS)
        abort();
    for (size_t i = 0; i < size; i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        memcpy(&words[i], qemu_plugin_insn_data(insn), sizeof *words);
        if (levels)
            qemu_plugin_register_vcpu_mem_cb(insn, on_access, 0 /* no registers */,
                                             3 /* loads and stores */, NULL);
        hash = (hash ^ words[i]) * 16777619u;
        classes[classify(words[i])]++;
    }
    pthread_mutex_lock(&lock);
    block *b = find(qemu_plugin_tb_vaddr(tb), size, hash, classes, words);
    pthread_mutex_unlock(&lock);
    qemu_plugin_register_vcpu_tb_exec_inline(tb, 0 /* add a constant */, &b->runs, 1);
}

static void write_blocks(uint64_t total)
{
    FILE *file = fopen(blocks_path, "w");
    if (!file)
        return; /* whoever reads it tells */
    fprintf(file, "{\"region\": %llu, \"instructions\": %llu, \"misses\": [",
            (unsigned long long)region, (unsigned long long)total);
    for (size_t i = 0; i < levels; i++)
        fprintf(file, "%s%llu", i ? ", " : "", (unsigned long long)caches[i].misses);
    fputs("]}\n", file);
    for (size_t i = 0; i < BUCKETS; i++)
        for (block *b = table[i]; b; b = b->next) {
            if (!b->last)
                continue;
            fprintf(file, "{\"runs\": %llu, \"code\": \"", (unsigned long long)b->last);
            const unsigned char *code = (const unsigned char *)b->words;
            for (size_t k = 0; k < b->size * sizeof *b->words; k++)
                fprintf(file, "%02x", code[k]);
            fputs("\"}\n", file);
        }
    fclose(file);
}

static void report(void)
{
    uint64_t total = 0, classes[CLASSES] = {0};
    for (size_t i = 0; i < BUCKETS; i++)
        for (block *b = table[i]; b; b = b->next) {
            uint64_t runs = b->runs - b->reported;
            b->reported = b->runs;
            b->last = runs;
            total += runs * b->size;
            for (int k = 0; k < CLASSES; k++)
                classes[k] += runs * b->classes[k];
        }
    fprintf(out, "{\"region\": %llu, \"instructions\": %llu", (unsigned long long)region,
            (unsigned long long)total);
    for (int k = 0; k < CLASSES; k++)
        fprintf(out, ", \"%s\": %llu", class_names[k], (unsigned long long)classes[k]);
    fputs("}\n", out);
    fflush(out);
    if (blocks_path && region && (region == 1 || total < least)) {
        least = total;
        write_blocks(total);
    }
    for (size_t i = 0; i < levels; i++)
        caches[i].misses = 0;
}

static void on_syscall(plugin_id id, unsigned cpu, int64_t number, uint64_t argument, uint64_t a2,
                       uint64_t a3, uint64_t a4, uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8)
{
    (void)id, (void)cpu, (void)a2, (void)a3, (void)a4, (void)a5, (void)a6, (void)a7, (void)a8;
    if (number != MARK)
        return;
    pthread_mutex_lock(&lock);
    report();
    region = argument;
    pthread_mutex_unlock(&lock);
}

EXPORT int qemu_plugin_install(plugin_id id, const plugin_info *info, int argc, char **argv)
{
    if (strcmp(info->target_name, "aarch64") != 0) {
        fprintf(stderr, "count_instructions: only for aarch64, not %s\n", info->target_name);
        return -1;
    }
    for (int i = 0; i < argc; i++)
        if (!strncmp(argv[i], "out=", 4))
            out = fopen(argv[i] + 4, "w");
        else if (!strncmp(argv[i], "blocks=", 7))
            blocks_path = strdup(argv[i] + 7);
        else if (!strncmp(argv[i], "caches=", 7) && !add_caches(argv[i] + 7)) {
            fprintf(stderr, "count_instructions: bad %s\n", argv[i]);
            return -1;
        }
    if (!out) {
        fprintf(stderr, "count_instructions: no file to write to (out=FILE)\n");
        return -1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    qemu_plugin_register_vcpu_syscall_cb(id, on_syscall);
    return 0;
}
