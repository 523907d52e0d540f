/* Prints a manual page: the file named, with what the tables know in the place of these lines:
 *
 *   .\" OPTIONS             every option, from model/options.def
 *   .\" COMMANDS            the runtime commands, from the tables of ctl/command_*.c
 *   .\" VERBS               the words of routerctl, from the table of routerctl/verbs.c
 *   .\" METRICS FRONTEND    the metrics of a frontend, from model/metrics.def
 *   .\" METRICS BACKEND
 *   .\" METRICS SERVER
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/manual.h"
#include "base/text.h"
#include "ctl/command.h"
#include "model/config.h"
#include "model/metrics.h"
#include "routerctl/verbs.h"

static void print_metrics(const struct metric_words *words, size_t count)
{
    puts(".Bl -tag -width Ds");
    for (size_t i = 0; i < count; i++) {
        if (words[i].kind == METRIC_HOLE || words[i].help == NULL) {
            continue;
        }
        printf(".It %s", words[i].prometheus);
        if (words[i].label != NULL) {
            printf("{%s}", words[i].label);
        }
        if (words[i].json != NULL) {
            printf(" Pq Va %s", words[i].json);
        }
        printf("\n%s\n", words[i].help);
    }
    puts(".El");
}

/* "weight BACKEND/SERVER WEIGHT" */
static void print_verbs(void)
{
    puts(".Bl -tag -width Ds");
    for (size_t i = 0; i < verb_count; i++) {
        size_t len = strcspn(verbs[i].usage, " ");
        const char *arguments = verbs[i].usage + len;
        printf(".It Ic %.*s%s%s\n", (int)len, verbs[i].usage, arguments[0] != '\0' ? " Ar" : "",
               arguments);
        struct text sentence = {0};
        text_add(&sentence, "%c%s.", toupper(verbs[i].help[0]), verbs[i].help + 1);
        manual_sentences(sentence.data, stdout);
        text_free(&sentence);
    }
    puts(".El");
}

static void print_line(const char *line)
{
    if (strcmp(line, ".\\\" OPTIONS\n") == 0) {
        config_manual(stdout);
    } else if (strcmp(line, ".\\\" COMMANDS\n") == 0) {
        command_manual(stdout);
    } else if (strcmp(line, ".\\\" VERBS\n") == 0) {
        print_verbs();
    } else if (strcmp(line, ".\\\" METRICS FRONTEND\n") == 0) {
        print_metrics(frontend_metric_words, FRONTEND_METRIC_COUNT);
    } else if (strcmp(line, ".\\\" METRICS BACKEND\n") == 0) {
        print_metrics(backend_metric_words, BACKEND_METRIC_COUNT);
    } else if (strcmp(line, ".\\\" METRICS SERVER\n") == 0) {
        print_metrics(server_metric_words, SERVER_METRIC_COUNT);
    } else {
        fputs(line, stdout);
    }
}

int main(int argc, char **argv)
{
    char line[1024];
    FILE *in = argc == 2 ? fopen(argv[1], "r") : NULL;
    if (in == NULL) {
        fprintf(stderr, "usage: gen FILE: %s\n", strerror(argc == 2 ? errno : EINVAL));
        return 1;
    }
    while (fgets(line, sizeof(line), in) != NULL) {
        print_line(line);
    }
    int failed = ferror(in) || fflush(stdout) != 0;
    fclose(in);
    return failed;
}
