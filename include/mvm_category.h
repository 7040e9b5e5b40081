/*
 * Why a build or a request ended with Err, for programs. On the wire a category is its word; the
 * list is open: a client treats a word that it does not know as `internal`.
 *
 * "Begun" says whether anything of the build ran; "retry" whether the same request can succeed
 * later without a change by a person.
 */
#ifndef MVM_CATEGORY_H
#define MVM_CATEGORY_H

#ifdef __cplusplus
extern "C" {
#endif

enum mvm_category {
    MVM_CATEGORY_NONE = 0,
    /*                              word               begun  retry */
    MVM_CATEGORY_INVALID_REQUEST, /* invalid_request    no     no */
    MVM_CATEGORY_REJECTED,        /* rejected           no     no: the policy forbids builds */
    MVM_CATEGORY_QUEUE_FULL,      /* queue_full         no     yes, later */
    MVM_CATEGORY_MOUNT,           /* mount              no     no: a disk or its directory */
    MVM_CATEGORY_NIX_NOT_FOUND,   /* nix_not_found      no     no */
    MVM_CATEGORY_BUILD_FAILED,    /* build_failed       yes    no */
    MVM_CATEGORY_OUT_OF_MEMORY,   /* out_of_memory      yes    with more memory */
    MVM_CATEGORY_TIMEOUT,         /* timeout            maybe  with a longer time-out */
    MVM_CATEGORY_CANCELLED,       /* cancelled          maybe  yes */
    MVM_CATEGORY_NO_OUTPUT,       /* no_output          yes    no */
    MVM_CATEGORY_STAGING,     /* staging            yes    no: the artifacts or the output disk */
    MVM_CATEGORY_RELEASE,     /* release            maybe  not before the disk is released */
    MVM_CATEGORY_STOPPING,    /* stopping           maybe  yes, with the next agent */
    MVM_CATEGORY_MOVED,       /* moved              maybe  no: another connection joined */
    MVM_CATEGORY_SUPERSEDED,  /* superseded         yes    build again: artifacts are replaced */
    MVM_CATEGORY_UNKNOWN_ID,  /* unknown_id         no     no */
    MVM_CATEGORY_ID_CONFLICT, /* id_conflict        no     with a new id */
    MVM_CATEGORY_INTERNAL,    /* internal           maybe  yes */
    MVM_CATEGORIES,
};

/* The word on the wire, static; "" for NONE. */
const char *mvm_category_word(enum mvm_category category);

#ifdef __cplusplus
}
#endif

#endif
