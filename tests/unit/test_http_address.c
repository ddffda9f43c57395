/* Which addresses media may come from. */
#include "http_internal.h"
#include "run.h"

#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <stdlib.h>

static bool allowed(const char *text, enum http_reach reach)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };

	if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
		return http_address_allowed((struct sockaddr *)&v4, reach);
	ck_assert_int_eq(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
	return http_address_allowed((struct sockaddr *)&v6, reach);
}

START_TEST(addresses)
{
	static const char *const public[] = {
		"1.1.1.1",         "93.184.216.34",    "172.15.255.255",  "172.32.0.1",
		"223.255.255.255", "100.63.0.1",       "2606:4700::1111", "2a00::1",
		"::ffff:8.8.8.8",  "64:ff9b::808:808", "2002:808:808::1"
	};
	static const char *const private[] = { "0.0.0.0",
					       "10.0.0.1",
					       "100.64.0.1",
					       "100.100.100.200",
					       "169.254.169.254",
					       "172.16.0.1",
					       "172.31.255.255",
					       "192.0.0.192",
					       "192.168.0.1",
					       "198.18.0.1",
					       "224.0.0.1",
					       "240.0.0.1",
					       "255.255.255.255",
					       "168.63.129.16",
					       "::",
					       "fe80::1",
					       "fc00::1",
					       "fd00:ec2::254",
					       "fec0::1",
					       "ff02::1",
					       "::ffff:10.0.0.1",
					       "::ffff:127.0.0.1",
					       "64:ff9b::a9fe:a9fe",
					       "2002:7f00:1::",
					       "2001::1",
					       "::7f00:1",
					       "2001:db8::1" };

	for (size_t i = 0; i < sizeof(public) / sizeof(*public); i++) {
		ck_assert_msg(allowed(public[i], HTTP_REACH_PUBLIC), "%s", public[i]);
		ck_assert_msg(!allowed(public[i], HTTP_REACH_LOOPBACK), "%s", public[i]);
	}
	for (size_t i = 0; i < sizeof(private) / sizeof(*private); i++)
		ck_assert_msg(!allowed(private[i], HTTP_REACH_PUBLIC), "%s", private[i]);
	ck_assert(!allowed("127.0.0.1", HTTP_REACH_PUBLIC));
	ck_assert(!allowed("::1", HTTP_REACH_PUBLIC));
	ck_assert(allowed("127.0.0.1", HTTP_REACH_LOOPBACK));
	ck_assert(allowed("::1", HTTP_REACH_LOOPBACK));
	ck_assert(allowed("::ffff:127.0.0.1", HTTP_REACH_LOOPBACK));
	ck_assert(!allowed("10.0.0.1", HTTP_REACH_LOOPBACK));
	ck_assert(allowed("10.0.0.1", HTTP_REACH_ANY));
	ck_assert(
		!http_address_allowed(&(struct sockaddr){ .sa_family = AF_UNIX }, HTTP_REACH_ANY));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("http address");
	TCase *tc = tcase_create("address");
	tcase_add_test(tc, addresses);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
