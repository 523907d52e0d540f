#include "base/privileges.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Looking up -------------------------------------------------------------------------------- */

/* (uid_t)-1 and (gid_t)-1 mean "leave it" to the kernel and are nobody's. */
static bool is_number(const char *text, unsigned *number)
{
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    *number = (unsigned)value;
    return text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0 && value < UINT32_MAX;
}

static int find_user(struct privileges *p, const char *user, char *why, size_t why_size)
{
    unsigned number;
    const struct passwd *entry = is_number(user, &number) ? getpwuid(number) : getpwnam(user);
    if (entry == NULL && !is_number(user, &number)) {
        snprintf(why, why_size, "there is no user \"%s\"", user);
        return -ENOENT;
    }
    p->uid = entry != NULL ? entry->pw_uid : number;
    p->gid = entry != NULL ? entry->pw_gid : number;
    p->group_count = PRIVILEGES_GROUPS_MAX;
    if (entry == NULL) {
        p->groups[0] = p->gid;
        p->group_count = 1;
    } else if (getgrouplist(entry->pw_name, p->gid, p->groups, &p->group_count) < 0) {
        snprintf(why, why_size, "user \"%s\" is in more than %d groups", user,
                 PRIVILEGES_GROUPS_MAX);
        return -E2BIG;
    }
    return 0;
}

static int find_group(struct privileges *p, const char *group, char *why, size_t why_size)
{
    unsigned number;
    const struct group *entry = is_number(group, &number) ? NULL : getgrnam(group);
    if (entry == NULL && !is_number(group, &number)) {
        snprintf(why, why_size, "there is no group \"%s\"", group);
        return -ENOENT;
    }
    p->gid = entry != NULL ? entry->gr_gid : number;
    return 0;
}

int privileges_find(struct privileges *p, const char *user, const char *group, char *why,
                    size_t why_size)
{
    *p = (struct privileges){.uid = geteuid(), .gid = getegid()};
    if (user == NULL && group == NULL) {
        return 0;
    }
    snprintf(p->name, sizeof p->name, "%s", user != NULL ? user : group);
    int rc = user != NULL ? find_user(p, user, why, why_size) : 0;
    rc = rc == 0 && group != NULL ? find_group(p, group, why, why_size) : rc;
    if (rc != 0) {
        return rc;
    }
    p->wanted = p->uid != geteuid() || p->gid != getegid();
    if (p->wanted && geteuid() != 0) {
        snprintf(why, why_size, "only root can become another user or group (\"%s\")", p->name);
        return -EPERM;
    }
    return 0;
}

/* Becoming them ----------------------------------------------------------------------------- */

/* capset(2) has no function in the C library. */
static int set_capabilities(uint32_t mask)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {
        {.effective = mask, .permitted = mask, .inheritable = mask}};
    return syscall(SYS_capset, &header, data) == 0 ? 0 : -errno;
}

static int keep_low_ports(void)
{
    int rc = set_capabilities(1U << CAP_NET_BIND_SERVICE);
    if (rc == 0 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_BIND_SERVICE, 0, 0) != 0) {
        rc = -errno;
    }
    return rc;
}

/* PR_SET_KEEPCAPS: else all capabilities would go with the user ID. */
static int become(const struct privileges *p, bool low_ports)
{
    if (prctl(PR_SET_KEEPCAPS, low_ports ? 1 : 0, 0, 0, 0) != 0 ||
        setgroups((size_t)p->group_count, p->groups) != 0 ||
        setresgid(p->gid, p->gid, p->gid) != 0 || setresuid(p->uid, p->uid, p->uid) != 0) {
        return -errno;
    }
    int rc = p->uid == 0 ? 0 : low_ports ? keep_low_ports() : set_capabilities(0);
    prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0);
    return rc == 0 && p->uid != 0 && setresuid(0, 0, 0) == 0 ? -EPERM : rc;
}

int privileges_drop(const struct privileges *p, bool low_ports, char *why, size_t why_size)
{
    int rc = p->wanted ? become(p, low_ports) : 0;
    if (rc != 0) {
        snprintf(why, why_size, "cannot become \"%s\": %s", p->name, strerror(-rc));
    }
    return rc;
}

void privileges_gain_none(void)
{
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

void privileges_hide_memory(void)
{
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

/* Files ------------------------------------------------------------------------------------- */

/* The C library would change the groups of all threads. */
static bool set_own_groups(const gid_t *groups, int count)
{
    return syscall(SYS_setgroups, (size_t)count, groups) == 0;
}

/* The identity for files is this thread's alone, and its change takes root's rights over files from
 * it until it is changed back (capabilities(7)). */
int privileges_try_read(const struct privileges *p, const char *path)
{
    gid_t before[1024];
    int count = p->wanted ? getgroups((int)(sizeof before / sizeof before[0]), before) : -1;
    if (count < 0 || !set_own_groups(p->groups, p->group_count)) {
        return p->wanted ? -errno : 0;
    }
    gid_t gid = (gid_t)setfsgid(p->gid);
    uid_t uid = (uid_t)setfsuid(p->uid);
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    int rc = fd >= 0 ? 0 : -errno;
    setfsuid(uid);
    setfsgid(gid);
    set_own_groups(before, count);
    if (fd >= 0) {
        close(fd);
    }
    return rc;
}

/* By descriptor: the name could be turned to another file meanwhile. */
void privileges_give(const struct privileges *p, const char *path)
{
    struct stat st;
    int fd = p->wanted ? open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC) : -1;
    if (fd < 0) {
        return;
    }
    if (fstat(fd, &st) == 0 && st.st_uid == geteuid() && st.st_nlink == 1 &&
        (S_ISSOCK(st.st_mode) || S_ISREG(st.st_mode))) {
        (void)!fchownat(fd, "", p->uid, p->gid, AT_EMPTY_PATH);
    }
    close(fd);
}
