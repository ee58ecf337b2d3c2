/* plens: the command. See `plens --help`. */
#include <string.h>

#include "plens.h"
#include "tests/harness/commands.h"
#include "tests/harness/message.h"

static const char usage[] =
    "usage: plens COMMAND --model DIR ...\n"
    "\n"
    "Runs a Hugging Face model folder on the CPU and looks inside it with a logit lens.\n"
    "\n"
    "  score     scores persona consistency over questions in TSV files\n"
    "  merge     joins the results of a score's shards\n"
    "  report    makes tables, tests and figures from the results of scores\n"
    "  lens      prints what every layer would say next\n"
    "  dump      writes the residual stream and the logits as safetensors\n"
    "  audit     says where another engine's states depart from the model\n"
    "  tokenize  turns text into token ids, or back\n"
    "  info      describes a model folder and what would compute it\n"
    "  selftest  compares this machine's kernels with the definition, bit by bit\n"
    "  self-bleu measures how much the questions of a data set repeat each other\n"
    "  questions writes requests that ask a language model for more questions\n"
    "  import    makes a data set of its answers\n"
    "\n"
    "  plens COMMAND --help tells a command's options; plens --version the version.\n"
    "\n"
    "Exit status: 0 done, 1 the audit or the self-test found a difference, 2 wrong usage, 3 bad\n"
    "input or failed I/O, 130 after Ctrl-C, 143 after SIGTERM.\n";

typedef struct command {
    const char *name;
    int (*run)(int argc, char **argv);
} command;

static const command commands[] = {
    {"score", command_score},         {"lens", command_lens},           {"dump", command_dump},
    {"info", command_info},           {"tokenize", command_tokenize},   {"audit", command_audit},
    {"self-bleu", command_self_bleu}, {"questions", command_questions}, {"import", command_import},
    {"selftest", command_selftest},   {"merge", command_merge},         {"report", command_report},
};

int main(int argc, char **argv) {
    const char *name = argc > 1 ? argv[1] : "";
    if (strcmp(name, "-h") == 0 || strcmp(name, "--help") == 0)
        return print_help(usage);
    if (strcmp(name, "--version") == 0)
        return print_help("plens " PLENS_VERSION "\n");
    if (argc < 2)
        return fail_usage(NULL, "no command is given");
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(commands[i].name, name) == 0)
            return commands[i].run(argc - 2, argv + 2);
    }
    return fail_usage(NULL, "unknown command '%s'", name);
}
