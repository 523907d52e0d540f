/* Those who are connected to the control sockets, and what they share: for ctl/control_*.c only. */
#ifndef ROUTER_CTL_CONTROL_PEER_H
#define ROUTER_CTL_CONTROL_PEER_H

#include "ctl/command.h"
#include "net/deadline.h"
#include "net/listener.h"

struct socket_place {
    struct listener listener;
    struct control_sockets *sockets; /* borrowed */
    struct address address;
    struct listener_path path;
    enum control_level level;
    int fd; /* -1 = the listener has it, or it is closed */
};

struct control_sockets {
    struct control *control; /* borrowed; NULL before the start */
    struct socket_place *places;
    size_t count;
    struct list peers;   /* of struct peer.node, also those that are closing */
    struct list pending; /* of struct peer.pending */
    uv_idle_t turn;      /* runs while somebody pending may have a turn */
    unsigned open;       /* peers that are not closing */
    size_t kept;         /* bytes of answers that wait to be read */
    struct deadline_list lines;
    struct deadline_list prompts;
    struct deadline_list writes;
    struct deadline_list lingers;
    struct deadline_list rests;
    struct deadline rest; /* armed: no descriptors, the listeners rest */
    bool closing;
};

/* Before anybody may come. */
void control_peers_init(struct control_sockets *s);
/* Takes over the socket of somebody who has connected: there is room, or it is told so. */
void control_peer_accept(struct socket_place *place, int fd);
void control_peers_close(struct control_sockets *s);

#endif
