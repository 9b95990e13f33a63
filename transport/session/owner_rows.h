/* SPDX-License-Identifier: BSD-3-Clause */
/* owner_rows.h - who may run the guest, for every pair of last steps; read by owner.c and by the model of the protocol
 *
 * OWNER_ROW(source's last step, destination's last step, verdict, why).  NOTHING: no journal, or none that tells.  So
 * the rows with one NOTHING are what a side may do by itself.  CONTRADICTION: the model shows that no order of steps,
 * crashes and losses leads there (and that every other row is reached), so one of the files is not what was written.
 */
OWNER_ROW(NOTHING, NOTHING, UNDECIDED, "neither journal tells anything")
OWNER_ROW(NOTHING, STARTED, SOURCE, "the destination was never ready, so the source cannot have committed")
OWNER_ROW(NOTHING, READY, UNDECIDED, "the destination was ready; only the source knows whether it committed")
OWNER_ROW(NOTHING, COMMITTED, DESTINATION, "the destination has accepted the commit")
OWNER_ROW(NOTHING, RUNNING, DESTINATION, "the destination has started the guest")
OWNER_ROW(NOTHING, ABORTED, SOURCE, "the destination will never start the guest")

OWNER_ROW(STARTED, NOTHING, SOURCE, "the source has not committed")
OWNER_ROW(STARTED, STARTED, SOURCE, "the source has not committed")
OWNER_ROW(STARTED, READY, CONTRADICTION, "the destination was ready before the source had prepared")
OWNER_ROW(STARTED, COMMITTED, CONTRADICTION, "the destination has accepted a commit that the source never made")
OWNER_ROW(STARTED, RUNNING, CONTRADICTION, "the destination has started what the source never committed")
OWNER_ROW(STARTED, ABORTED, SOURCE, "the source has not committed, and the destination has given up")

OWNER_ROW(PREPARED, NOTHING, SOURCE, "the source has not committed")
OWNER_ROW(PREPARED, STARTED, SOURCE, "the source has not committed")
OWNER_ROW(PREPARED, READY, SOURCE, "the source has not committed, so the destination cannot have started")
OWNER_ROW(PREPARED, COMMITTED, CONTRADICTION, "the destination has accepted a commit that the source never made")
OWNER_ROW(PREPARED, RUNNING, CONTRADICTION, "the destination has started what the source never committed")
OWNER_ROW(PREPARED, ABORTED, SOURCE, "the source has not committed, and the destination has given up")

OWNER_ROW(COMMITTED, NOTHING, UNDECIDED, "the source has committed; only the destination knows whether it accepted")
OWNER_ROW(COMMITTED, STARTED, CONTRADICTION, "the source has committed to a destination that was never ready")
OWNER_ROW(COMMITTED, READY, DESTINATION, "the source has committed, and the destination has all it needs")
OWNER_ROW(COMMITTED, COMMITTED, DESTINATION, "the source has committed, and the destination has accepted")
OWNER_ROW(COMMITTED, RUNNING, DESTINATION, "the source has committed, and the destination has started the guest")
OWNER_ROW(COMMITTED, ABORTED, SOURCE, "the source has committed, but the destination will never start the guest")

OWNER_ROW(DONE, NOTHING, DESTINATION, "the source has heard that the guest runs at the destination")
OWNER_ROW(DONE, STARTED, CONTRADICTION, "the source has heard of a start that the destination has not noted")
OWNER_ROW(DONE, READY, CONTRADICTION, "the source has heard of a start that the destination has not noted")
OWNER_ROW(DONE, COMMITTED, DESTINATION, "the source has heard that the guest runs at the destination")
OWNER_ROW(DONE, RUNNING, DESTINATION, "both say that the guest runs at the destination")
OWNER_ROW(DONE, ABORTED, CONTRADICTION, "the source has heard of a start, but the destination has given up")

OWNER_ROW(ABORTED, NOTHING, SOURCE, "the source has kept the guest")
OWNER_ROW(ABORTED, STARTED, SOURCE, "the source has kept the guest")
OWNER_ROW(ABORTED, READY, SOURCE, "the source has kept the guest")
OWNER_ROW(ABORTED, COMMITTED, CONTRADICTION, "the source has kept what the destination has accepted")
OWNER_ROW(ABORTED, RUNNING, CONTRADICTION, "the source has kept what the destination has started")
OWNER_ROW(ABORTED, ABORTED, SOURCE, "the source has kept the guest, and the destination has given up")
