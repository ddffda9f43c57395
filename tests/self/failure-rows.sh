# Which test shows what about money, the key, what the CDN does wrong, and liveness. Every failure in which a purchase could be
# paid twice, or be lost after it was paid, or the key be told to somebody, or a reader get other bytes than were made, or a person
# be kept waiting, and where it is tested: this checks that those tests are there.
#
# A test is unit/FILE:NAME, or mount/FILE with words that must stand in it.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

table() {
	cat <<'END'
1  taken, closed without an answer          unit/test_http:post_is_sent_once
1  taken, closed without an answer          mount/submit-faults row reset UNCERTAIN 1
2  killed before the answer                 mount/kill-9 submit.accepted
2  killed before the answer                 mount/crash-points point $call $n
2  killed after a try that was refused      unit/test_engine_submit:an_old_answer_is_none_to_a_new_try
3  killed before anything was sent          unit/test_engine_submit:crash_at_every_step
3  killed before anything was sent          mount/crash-points WAITING, which is sent
4  no answer in time                        unit/test_http:no_answer_times_out
4  no answer in time                        unit/test_engine_submit:one_post_in_every_fault
4  the writer's own limit                   mount/submit-faults submit_wait=1
5  an answer that says nothing              mount/submit-faults row not-json UNCERTAIN 1
5  an answer that is cut                    unit/test_engine_submit:a_cut_answer_with_an_id_is_taken
6  no name, no connection, no TLS           unit/test_http:stalled_tls_is_not_sent
6  no name, no connection, no TLS           unit/test_engine_submit:what_was_not_sent_is_sent_later
6  no gateway                               mount/kill-9 WAITING for the gateway
7  the service says no                      mount/refusals answer 402
8  the service says later                   mount/submit-faults Retry-After
8  the service says later                   unit/test_engine_submit:retry_after_is_honoured
9  the service broke                        mount/submit-faults row http-$status UNCERTAIN 1
10 every program that saves                 mount/clients-save posts_are
11 empty or invalid content                 mount/bad-input posts_are
12 the same file again                      mount/clients-save rsync
13 the books are full: before               unit/test_engine_disk:disk_full_before_anything
13 the books are full: at the intent        unit/test_engine_disk:disk_full_at_the_intent
13 the books are full: at the answer        unit/test_engine_disk:disk_full_at_the_answer
13 the books are full                       mount/store-faults No space left
13 the books do not sync                    mount/store-faults Input/output error
13 the books do not sync                    unit/test_store_disk:failed_sync_stays_failed_after_a_crash
14 two drivers, one state directory         mount/store-faults is in use by process
15 killed between answer and commit         mount/crash-points passed fdatasync
15 killed between answer and commit         mount/store-faults the answer that neither disk nor memory kept
16 redirects of the gateway                 mount/network-trust Redirects of the gateway itself
16 redirects of the gateway                 unit/test_http:redirects_are_not_followed
17 URLs that lead elsewhere                 mount/network-trust A model elsewhere is refused, without a connection
17 URLs that lead elsewhere                 mount/network-trust polling_url: another origin is not asked
17 the address behind the name              unit/test_http_address:addresses
18 endless JSON                             mount/network-trust Answers without an end
18 endless JSON                             unit/test_http:endless_answers_are_cut
18 a model without an end                   mount/output-faults right_or_error huge
19 where the key could be seen              mount/key is nowhere else
20 forged callbacks                         unit/test_engine_hook:what_is_forged_is_not_expected
20 forged callbacks                         mount/webhook What is forged is refused
20 duplicates, also when it is over         unit/test_engine_hook:a_callback_leads_to_one_poll_now
20 duplicates, also when it is over         mount/webhook The same callback many times
20 a flood, replayed or with the token      unit/test_engine_hook:a_flood_is_a_few_polls
20 of an older attempt                      unit/test_engine_hook:an_older_attempt_resolves_nothing
20 a lie about which request it is          unit/test_engine_hook:what_the_service_does_not_know_is_not_believed
20 oversized                                unit/test_hook:bodies_have_a_limit
20 slow on purpose                          unit/test_hook:slow_ones_keep_nobody_out
31 network gone: looking, and what is here  mount/offline while the network is a black hole
31 network gone: what is not here           mount/offline Input/output error
31 network gone, and remounted              mount/offline after a remount without a network
32 64 readers blocked on a slow CDN         mount/readers-64 everybody else is served at once
33 Ctrl-C and SIGKILL on who waits          mount/interrupt SIGKILL end whoever waits
33 nothing is left in D state               mount/interrupt in D state
34 SIGTERM with reads and a POST in flight  mount/umount-clean SIGTERM with readers of wait
34 the POST that was not answered           mount/umount-clean the job whose POST was under way
34 SIGTERM with a poll in flight            mount/poll exit status with a poll under way
35 kill -9, then mount again                mount/kill-9 nothing is lost, nothing is paid twice
35 only our own dead mount is taken away    mount/stale A driver that was killed leaves a dead mount
36 umount while open                        mount/umount-clean umount while a file is open: EBUSY
36 lazy umount                              mount/umount-clean reading after umount -l
36 umount while events are made             mount/inotify a umount is not held up by it
37 who only looks fetches nothing           mount/open-clients bytes fetched, by $row
37 who watches is told                      mount/inotify CREATE, CLOSE_WRITE, MODIFY through the
38 fstab, user mounts                       mount/fstab-user mounts from fstab, as a person on a workstation
38 mount(8)                                 mount/mount-helper truthful exit status
38 systemd                                  mount/systemd systemd
-  one writer's refusal, another's purchase mount/refusals the second writer, whose job was taken
-  in doubt, and tried again by itself      unit/test_engine_money:what_was_in_doubt_is_not_retried
-  another gateway, one state directory     mount/store-faults books of another gateway
21 closed half way                          mount/output-faults heals close-after
21 closed half way                          unit/test_output:random_reads_with_cuts
22 no length, an early end                  mount/output-reads a body that breaks off
22 no length, an early end                  unit/test_http_media:half_a_body_has_no_size
23 Range ignored                            mount/output-faults heals no-range
23 Range ignored                            unit/test_http_media:an_ignored_range_starts_at_zero
23 wrong 206                                mount/output-faults right_or_error wrong-range
23 wrong 206                                unit/test_http_media:no_lie_is_believed
24 another ETag half way                    mount/output-changes fired cdn.bump_after
24 another ETag half way                    unit/test_output:changed_object
24 the same size, and no strong ETag        unit/test_http_media:known_by_the_best_there_is
25 unsolicited gzip                         mount/output-faults right_or_error gzip
25 unsolicited gzip                         unit/test_http_media:an_encoded_size_is_no_size
26 the URL has expired                      mount/output-expired expired-$code
26 the URL has expired                      unit/test_output_renew:there_is_no_other_url
27 killed while it comes                    mount/cache-damage row 27: digest after kill -9
27 a prefetch that was cut short            unit/test_output_space:what_a_stop_cut_short_goes_on_at_the_next_start
27 the power fails                          unit/test_output_map:power_cut_leaves_only_synced_bytes
28 cut, zeroed, a bit flipped, lost         mount/cache-damage row 28: digest after $how
28 the same, without a network              mount/cache-damage row 28: a damaged copy was served offline
28 a bit of a part                          unit/test_output_map:damaged_part
28 whatever is written into the map         unit/test_output_map:map_that_lies
29 reads stream through, submits go on      mount/cache-full other bytes past a full disk
29 nothing can be made or written           unit/test_output_space:no_file_can_be_made
29 and the server ignores ranges            unit/test_output_space:a_server_without_ranges_is_read_past_the_disk
30 a size that no header tells              mount/output-reads digests by mmap, sendfile and read
30 a size that no header tells              unit/test_http_media:a_size_that_nobody_tells_is_found_out
30 a size that cannot be had                mount/output-reads a file without a size
-  any of it, in any order                  unit/test_history:nothing_is_paid_twice_and_nothing_paid_is_lost
-  any of it, in any order                  unit/test_job_history:money_is_spent_once_and_every_state_is_explained
END
}

missing=0
while read -r line; do
	test=$(grep -oE '(unit|mount)/.*' <<<"$line")
	case $test in
	unit/*) names_a_test "$test" ;;
	*) names_a_test "${test%% *}" "${test#* }" ;;
	esac || { echo "not there: $line" && missing=1; }
done < <(table)
for row in {1..38}; do
	table | grep -q "^$row " || { echo "no test for row $row" && missing=1; }
done
exit $missing
