/*
 * activation.h: the socket that the service manager opened for us (sd_listen_fds(3)).
 */
#pragma once

/* Its descriptor, which the caller owns, or -1: there is none. More than one is a mistake, and told as -2. The
 * variables are removed, so that no child inherits them; call once, at the start. */
int activation_take(void);
