-- Which pull request a review is of, where it is known, and whether it is whole. Reviews from before have neither.
-- Who reads for long must not hold up, with this change waiting behind, all who come after.
set local lock_timeout = '5s';
alter table ledger.review add column pull_request bigint, add column status text collate "C";
