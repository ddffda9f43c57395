/*
 * http_address - which addresses may be connected to
 *
 * The service names the media's URL, and the network resolves its name: neither may make the driver
 * talk to the machine itself, its local network or a cloud's metadata server. Ranges are those of
 * IANA's special-purpose address registries that are not globally reachable; addresses that carry
 * an IPv4 address are judged by it.
 */
#include "http_internal.h"

#include <netinet/in.h>
#include <string.h>

struct block {
	uint32_t address;
	unsigned bits;
};

static const struct block private_blocks[] = {
	{ 0x00000000, 8 },  /* "this network" */
	{ 0x0a000000, 8 },  /* private */
	{ 0x64400000, 10 }, /* carriers' NAT */
	{ 0x7f000000, 8 },  /* loopback */
	{ 0xa83f8110, 32 }, /* 168.63.129.16: Azure's host */
	{ 0xa9fe0000, 16 }, /* link-local, metadata servers */
	{ 0xac100000, 12 }, /* private */
	{ 0xc0000000, 24 }, /* protocol assignments, metadata servers */
	{ 0xc0000200, 24 }, /* documentation */
	{ 0xc0a80000, 16 }, /* private */
	{ 0xc6120000, 15 }, /* benchmarks */
	{ 0xc6336400, 24 }, /* documentation */
	{ 0xcb007100, 24 }, /* documentation */
	{ 0xe0000000, 4 },  /* multicast */
	{ 0xf0000000, 4 },  /* reserved, broadcast */
};

static bool in_block(uint32_t address, const struct block *block)
{
	return (address ^ block->address) >> (32 - block->bits) == 0;
}

static bool v4_allowed(uint32_t address, enum http_reach reach)
{
	if (reach == HTTP_REACH_LOOPBACK)
		return address >> 24 == 127;
	for (size_t i = 0; i < sizeof(private_blocks) / sizeof(*private_blocks); i++) {
		if (in_block(address, &private_blocks[i]))
			return false;
	}
	return true;
}

static uint32_t v4_at(const unsigned char *bytes)
{
	return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 |
	       bytes[3];
}

static bool v6_allowed(const unsigned char b[16], enum http_reach reach)
{
	static const unsigned char zero[16];
	static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };
	static const unsigned char nat64[12] = { 0x00, 0x64, 0xff, 0x9b };

	if (!memcmp(b, mapped, 12))
		return v4_allowed(v4_at(b + 12), reach);
	if (reach == HTTP_REACH_LOOPBACK)
		return !memcmp(b, zero, 15) && b[15] == 1;
	if (!memcmp(b, nat64, 12))
		return v4_allowed(v4_at(b + 12), reach);
	if (b[0] == 0x20 && b[1] == 0x02) /* 6to4 */
		return v4_allowed(v4_at(b + 2), reach);
	if (b[0] == 0x20 && b[1] == 0x01 && b[2] < 2) /* protocol assignments, Teredo */
		return false;
	if (!memcmp(b, "\x20\x01\x0d\xb8", 4)) /* documentation */
		return false;
	return b[0] >> 5 == 1; /* 2000::/3, all that is globally routed */
}

bool http_address_allowed(const struct sockaddr *address, enum http_reach reach)
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	if (address->sa_family == AF_INET) {
		if (reach == HTTP_REACH_ANY)
			return true;
		memcpy(&v4, address, sizeof(v4));
		return v4_allowed(ntohl(v4.sin_addr.s_addr), reach);
	}
	if (address->sa_family == AF_INET6) {
		if (reach == HTTP_REACH_ANY)
			return true;
		memcpy(&v6, address, sizeof(v6));
		return v6_allowed(v6.sin6_addr.s6_addr, reach);
	}
	return false;
}
