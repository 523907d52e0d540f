/* What may stand next on a command line, for the shell: words of ours, commands that the router's
 * `help` names, and names of its backends, servers and frontends. */
#ifndef ROUTER_ROUTERCTL_COMPLETE_H
#define ROUTER_ROUTERCTL_COMPLETE_H

/* The words behind `routerctl`, of which the last one is being typed and may be empty. Prints each
 * that fits on a line of its own; nothing where nothing fits, or nobody answers. */
void complete(int count, char **words);

#endif
