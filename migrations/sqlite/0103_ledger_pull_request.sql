-- Which pull request a review is of, where it is known, and whether it is whole. Reviews from before have neither.
alter table review add column pull_request integer;
alter table review add column status text;

-- An index for each set of filters. What stands before the slash in a repository's name is its owner.
create index review_of_owner on review (substr(repository, 1, instr(repository, '/') - 1), id);
create index review_of_user_at_owner on review (user, substr(repository, 1, instr(repository, '/') - 1), id);
create index review_of_pull_request on review (repository, pull_request, id) where pull_request is not null;
create index review_of_status on review (status, id);
create index review_of_status_of_user on review (user, status, id);
create index review_of_status_of_owner on review (substr(repository, 1, instr(repository, '/') - 1), status, id);
create index review_of_status_in_repository on review (repository, status, id);
