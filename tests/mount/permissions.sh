# Unix permissions are the spending authority: who may write to new/, to a draft, or make a directory may
# spend, and nobody else.
. "$(dirname "$0")/lib.sh"
[ "$(id -u)" = 0 ] || skip "needs root, to be two users"

as() { # user command...
	setpriv --reuid "$1" --regid "$1" --clear-groups -- "${@:2}"
}
ANNA=12001 BERT=12002
chmod 755 "$T" "$(dirname "$T")"
printf '{"image_url": "https://example.com/dog.png"}\n' >"$T/dog.json"
printf 'https://example.com/dog.png\n' >"$T/dog.url"
chmod 644 "$T"/dog.*

sandbox_start

# Without allow_other the mount is its owner's alone.
driver_start
refuses as $ANNA ls "$M"
matches "$(cat "$T/refused")" 'Permission denied' "ls by another user"
driver_stop

# The default: others may look, and not spend.
driver_start "$OPTIONS,allow_other"
complete_job root
posts=$(ledger posts)
as $ANNA cat "$M/by-name/root/status" "$M/jobs" >"$T/seen" || fail "others may not look"
as $ANNA cat "$M/by-name/root/output.glb" >"$T/model" || fail "others may not read the model"
cmp "$T/model" "$M/by-name/root/output.glb" || fail "another model for others"
for command in "cp $T/dog.json $M/new/" "mkdir $M/anna" "mv $M/by-name/root/../$(readlink "$M/latest") $M/hers" \
	"rm $M/new/root.json" "touch $M/by-name/root/params.json"; do
	refuses as $ANNA sh -c "$command"
	matches "$(cat "$T/refused")" 'Permission denied|Operation not permitted' "$command by another user"
done
posts_are "$posts" "by who may not spend"

# chmod and chown of new/ give the right to spend, and what was dropped is its dropper's.
chown $ANNA "$M/new"
chmod 700 "$M/new"
as $ANNA cp "$T/dog.json" "$M/new/anna.json"
posts_are $((posts + 1)) "by who was given new/"
eq "$(stat -c %u "$M/new/anna.json")" $ANNA "owner of the drop"
eq "$(stat -Lc %u "$M/by-name/anna/")" $ANNA "owner of the job"
refuses as $BERT cp "$T/dog.json" "$M/new/"
refuses as $BERT ls "$M/new"
as $ANNA cat "$M/by-name/anna/wait" >/dev/null
job=$(basename "$(readlink "$M/by-name/anna")")
refuses as $BERT rm -r "$M/$job"
eq "$(cat "$M/$job/status")" COMPLETED "a job that another user would remove"
driver_stop

# A group that spends together: gid= and umask=.
driver_start "$OPTIONS,allow_other,gid=$BERT,umask=007"
refuses as $ANNA ls "$M"
as $BERT cp "$T/dog.json" "$M/new/bert.json"
as $BERT mkdir "$M/bert"
as $BERT sh -c "cat $T/dog.url >$M/bert/image_url"
eq "$(as $BERT cat "$M/bert/wait")" COMPLETED "the group's job"
eq "$(stat -c '%u %g' "$M/bert")" "$BERT $BERT" "owner of a directory made by a member"
posts_are $((posts + 3)) "by the group"
as $BERT sh -c "cat $T/dog.json $T/dog.json >$M/new/list.jsonl"
posts=$((posts + 2))
posts_are $((posts + 3)) "by the group's list"
for job in list-1 list-2 latest; do
	[ $job = latest ] || job=by-name/$job
	eq "$(stat -Lc '%a %u' "$M/$job/")" "770 $BERT" "mode and owner of $job"
done
driver_stop

# uid= gives everything to one user; a draft is its owner's.
driver_start "$OPTIONS,allow_other,uid=$ANNA"
as $ANNA mkdir "$M/hers"
refuses as $BERT sh -c "cat $T/dog.url >$M/hers/image_url"
matches "$(cat "$T/refused")" 'Permission denied' "writing another user's draft"
as $ANNA sh -c "cat $T/dog.url >$M/hers/image_url"
posts_are $((posts + 4)) "by the owner"
driver_stop

# ro never spends, not even for root.
driver_start "$OPTIONS,ro"
refuses cp "$T/dog.json" "$M/new/"
matches "$(cat "$T/refused")" 'Read-only file system' "a drop into a read-only mount"
refuses mkdir "$M/never"
eq "$(cat "$M/hers/wait")" COMPLETED "waiting in a read-only mount"
posts_are $((posts + 4)) "by a read-only mount"
