/*
 * output_check - is a copy what it should be
 *
 * A copy of a GLB is checked by its header as soon as that has come.  A copy that became whole is
 * hashed once, and its digest is written into the map.  A copy that was found on the disk and is
 * not trusted (see output.h) is hashed again:
 *
 *   checking   `have` is empty, nothing is fetched, the readers wait for the saver
 *   right      `have` is all of it; the map is saved, with the present era
 *   wrong      dropped; what the readers wait for is fetched
 */
#include "log.h"
#include "output_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK (128 << 10) /* hashed where it was read to: in the processor's cache */

static uint32_t little_endian(const unsigned char *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

bool output_check_glb(const struct output *output, const unsigned char head[GLB_HEADER], char *why,
		      size_t size)
{
	if (memcmp(head, "glTF", 4) != 0) {
		snprintf(why, size, "it does not begin like a GLB file");
		return false;
	}
	if (little_endian(head + 4) != 2) {
		snprintf(why, size, "it is glTF version %" PRIu32 ", not 2",
			 little_endian(head + 4));
		return false;
	}
	if (little_endian(head + 8) != output->size) {
		snprintf(why, size, "its header says %" PRIu32 " bytes, the server %" PRIu64,
			 little_endian(head + 8), output->size);
		return false;
	}
	return true;
}

bool output_check_glb_file(const struct output *output, char *why, size_t size)
{
	unsigned char head[GLB_HEADER];

	if (output->size < sizeof(head) ||
	    pread(output->fd, head, sizeof(head), 0) != sizeof(head)) {
		snprintf(why, size, "too short for a GLB file");
		return false;
	}
	return output_check_glb(output, head, why, size);
}

/* 0, 1 at the end, or -errno. */
static int digest_block(const struct output *output, EVP_MD_CTX *digest, char *block, uint64_t *at)
{
	ssize_t n = pread(output->fd, block, BLOCK, (off_t)*at);

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	if (n == 0)
		return *at == output->size ? 1 : -EIO;
	*at += (uint64_t)n;
	return EVP_DigestUpdate(digest, block, (size_t)n) ? 0 : -EIO;
}

static int finish_digest(EVP_MD_CTX *digest, char out[SHA256_TEXT])
{
	unsigned char sum[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	if (!EVP_DigestFinal_ex(digest, sum, &len))
		return -EIO;
	for (unsigned i = 0; i < len; i++)
		snprintf(out + 2 * i, 3, "%02x", sum[i]);
	return 0;
}

int output_digest(const struct output *output, char out[SHA256_TEXT])
{
	EVP_MD_CTX *digest = EVP_MD_CTX_new();
	char *block = malloc(BLOCK);
	uint64_t at = 0;
	int r = digest && block && EVP_DigestInit_ex(digest, EVP_sha256(), NULL) ? 0 : -ENOMEM;

	while (!r)
		r = output_closing(output->cache) ? -ECANCELED
						  : digest_block(output, digest, block, &at);
	if (r > 0)
		r = finish_digest(digest, out);
	free(block);
	EVP_MD_CTX_free(digest);
	return r;
}

/* RIGHT of OUTPUT is as it was written; those who wait for more have it fetched. */
static void end_check(struct output *output, const struct range_set *right)
{
	struct output_cache *cache = output->cache;
	struct output_waiter *woken = NULL, *failed = NULL;

	pthread_mutex_lock(&cache->lock);
	bool checking = output->checking;
	output->checking = false;
	for (size_t i = 0; checking && i < right->count; i++)
		if (range_set_add(&output->have, right->v[i].start, right->v[i].end) == 0)
			output->dirty = true;
	if (checking && range_set_covers(&output->have, 0, output->size))
		output->tell = !*output->known;
	woken = output_take_ready_locked(output);
	if (checking)
		output_plan_waiters_locked(output, 0, &failed);
	pthread_mutex_unlock(&cache->lock);
	output_wake(woken);
	output_wake(failed);
}

static int check_whole(struct output *output, struct range_set *right)
{
	char sum[SHA256_TEXT];
	int r = output_digest(output, sum);

	if (!r && strcmp(sum, output->sha256) == 0)
		r = range_set_add(right, 0, output->size);
	return r;
}

static int check_part(struct output *output, struct range_set *right)
{
	struct output_cache *cache = output->cache;

	pthread_mutex_lock(&cache->lock);
	struct output_pieces pieces = output_pieces_take_locked(output);
	unsigned epoch = output->epoch;
	pthread_mutex_unlock(&cache->lock);
	int r = output_pieces_check(output, &pieces, right);
	pthread_mutex_lock(&cache->lock);
	output_pieces_give_locked(output, &pieces, epoch);
	pthread_mutex_unlock(&cache->lock);
	output_pieces_clear(&pieces);
	return r;
}

void output_check(struct output *output)
{
	struct range_set right;

	range_set_init(&right);
	int r = *output->sha256 ? check_whole(output, &right) : check_part(output, &right);
	uint64_t kept = range_set_total(&right);
	if (r != -ECANCELED && kept < output->claimed)
		log_warn("output %" PRIu64 "-%u: %s is dropped: %s", output->job, output->index,
			 kept ? "a part of what is cached" : "what is cached",
			 r ? strerror(-r) : "it is damaged");
	if (r != -ECANCELED && !kept)
		output_drop(output);
	if (r != -ECANCELED)
		end_check(output, &right);
	range_set_release(&right);
}

static void replace_changed(struct output *output)
{
	output_detach(output, -ESTALE);
	output_tell(output, OUTPUT_CHANGED,
		    "the object at the server is not the one that it was (stale): it has the same "
		    "size and another SHA-256");
}

void output_seal(struct output *output)
{
	struct output_cache *cache = output->cache;
	char sum[SHA256_TEXT];

	pthread_mutex_lock(&cache->lock);
	unsigned epoch = output->epoch;
	bool needed = !output->stale && !*output->sha256 &&
		      range_set_covers(&output->have, 0, output->size);
	pthread_mutex_unlock(&cache->lock);
	int r = needed ? output_digest(output, sum) : -ECANCELED;
	if (r && r != -ECANCELED)
		log_errno(r, "cannot read output %" PRIu64 "-%u back", output->job, output->index);
	if (r)
		return;
	if (*output->known && strcmp(sum, output->known) != 0) {
		replace_changed(output);
		return;
	}
	pthread_mutex_lock(&cache->lock);
	if (epoch == output->epoch) {
		memcpy(output->sha256, sum, sizeof(sum));
		output->tell = !*output->known;
	}
	pthread_mutex_unlock(&cache->lock);
}
