/*
 * document.h: credentials as JSON. Pure; jansson does the parsing.
 *
 * Three kinds of answers are alike but for a few names:
 *
 *     INSTANCE   Amazon EC2's metadata, iam/security-credentials/ROLE: Code ("Success"), AccessKeyId, SecretAccessKey,
 *                Token, Expiration
 *     CONTAINER  the agents of ECS and EKS: AccessKeyId, SecretAccessKey, Token, Expiration
 *     PROCESS    the AWS CLI's credential_process: Version (1), AccessKeyId, SecretAccessKey, and if they are for a
 *                while SessionToken and Expiration
 *
 * Members that nobody asked for are passed over; those of another type, doubled ones, and what is not JSON (RFC 8259)
 * are refused. Jansson's memory is wiped when it gives it back (base/wiped_heap.h).
 */
#pragma once

#include "cloud/credentials.h"

enum cloud_document { CLOUD_DOCUMENT_INSTANCE, CLOUD_DOCUMENT_CONTAINER, CLOUD_DOCUMENT_PROCESS };

/* Fills *out, which is empty; the caller clears it. Errors: ERR_PROTOCOL, of which none quotes the text but for a
 * Code that is not "Success" (then ERR_AUTH); ERR_RESOURCE. */
int cloud_document_parse(struct bytes text, enum cloud_document kind, struct cloud_credentials *out, struct err *e);
