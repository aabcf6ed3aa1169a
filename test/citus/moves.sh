# shellcheck shell=bash
# moves.sh: shards move while all nodes write: nothing is lost, doubled or misplaced.

start_writers 12 0 1 2
for which in 0 1 2; do
  move $which "CASE nodeport WHEN $(port 1) THEN $(port 2) ELSE $(port 1) END"
done
check_moves
check_writers moved
consistent moved
