/*
 * internal.h: what a call (grpc.c) needs of its connection (conn.c). Nobody else includes this.
 */
#pragma once

#include "h2/conn.h"
#include "h2/session.h"

/* The session that streams are opened on; valid until h2_conn_close. */
struct h2_session *h2_conn_session(struct h2_conn *c);

/* Bytes. */
uint32_t h2_conn_window(const struct h2_conn *c);

const struct endpoint *h2_conn_endpoint(const struct h2_conn *c);
