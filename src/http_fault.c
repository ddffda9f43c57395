/*
 * http_fault - what curl's word for the end of a transfer means to the contract of remote.h
 */
#include "http_internal.h"

enum remote_fault http_fault_of(const struct request *request, CURLcode code)
{
	if (request->decided)
		return request->verdict;
	if (code != CURLE_OK && !request->sent && request->out_of_reach)
		return REMOTE_FORBIDDEN;
	switch (code) {
	case CURLE_OK: return REMOTE_OK;
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY: return REMOTE_DNS;
	case CURLE_COULDNT_CONNECT: return REMOTE_CONNECT;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CIPHER:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_INVALIDCERTSTATUS: return REMOTE_TLS;
	case CURLE_OPERATION_TIMEDOUT: return REMOTE_TIMEOUT;
	case CURLE_LOGIN_DENIED:
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL: return request->sent ? REMOTE_CUT : REMOTE_FORBIDDEN;
	case CURLE_OUT_OF_MEMORY: return request->sent ? REMOTE_CUT : REMOTE_ABORTED;
	default: return request->sent ? REMOTE_CUT : REMOTE_CONNECT;
	}
}

static const char *default_words(enum remote_fault fault)
{
	switch (fault) {
	case REMOTE_OK: return "answered";
	case REMOTE_FORBIDDEN: return "this URL may not be fetched";
	case REMOTE_REDIRECT: return "the answer points elsewhere; not followed";
	case REMOTE_NO_KEY: return "there is no key to send";
	case REMOTE_ABORTED: return "no memory";
	case REMOTE_STOPPED: return "the driver ends";
	default: return "the connection failed";
	}
}

const char *http_detail_of(struct request *request, enum remote_fault fault)
{
	if (request->why)
		return request->why;
	if (fault == REMOTE_FORBIDDEN && request->out_of_reach)
		return "the URL leads to an address that is not public";
	if (fault == REMOTE_OK || fault == REMOTE_REDIRECT || !request->curl_words[0])
		return default_words(fault);
	for (char *p = request->curl_words; *p; p++) {
		if ((unsigned char)*p < ' ')
			*p = ' ';
	}
	return request->curl_words;
}
