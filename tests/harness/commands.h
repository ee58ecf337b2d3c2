/* The commands. Each takes the arguments after its name and returns the exit status. */
#ifndef PLENS_HARNESS_COMMANDS_H
#define PLENS_HARNESS_COMMANDS_H

int command_score(int argc, char **argv);
int command_lens(int argc, char **argv);
int command_dump(int argc, char **argv);
int command_tokenize(int argc, char **argv);
int command_audit(int argc, char **argv);
int command_info(int argc, char **argv);
int command_merge(int argc, char **argv);
int command_selftest(int argc, char **argv);
int command_self_bleu(int argc, char **argv);
int command_questions(int argc, char **argv);
int command_import(int argc, char **argv);
int command_report(int argc, char **argv);

#endif
