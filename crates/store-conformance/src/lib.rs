//! The one suite that every backend of the queue passes.
//!
//! A backend brings a [`Harness`] and names a function that makes a fresh one; [`conformance!`] makes a test of each
//! case for it, so that none can be left out, and [`model::agrees`] compares it with a queue in memory.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "all of this crate is test code")]

mod bed;
pub mod cases;
pub mod model;

pub use bed::{Bed, Harness};

/// Makes one test of each case. `$fresh` names an async function in scope without arguments that makes a [`Harness`] for one case.
#[macro_export]
macro_rules! conformance {
    ($fresh:ident) => {
        #[test]
        fn the_store_agrees_with_a_queue_in_memory() {
            $crate::model::agrees($fresh);
        }

        $crate::conformance! { @modules $fresh,
            durable: [
                an_answered_enqueue_outlives_a_crash,
                a_lease_outlives_a_crash,
                a_settlement_outlives_a_crash,
                a_pause_and_a_limit_outlive_a_crash,
            ]
            fenced: [
                a_stale_lease_cannot_settle,
                a_stale_lease_is_not_renewed,
                a_stale_lease_keeps_no_checkpoint,
                a_repeated_settlement_is_applied_once,
                a_repeated_retry_is_applied_once,
                the_same_settlement_twice_in_a_batch_is_applied_once,
                a_lost_lease_in_a_batch_does_not_keep_the_others_from_settling,
                a_completed_job_is_not_reaped,
                a_reaper_that_dies_is_reaped_in_its_turn,
                a_lease_that_has_expired_but_was_not_taken_over_settles,
                a_renewed_lease_is_not_reaped,
                a_repeated_claim_answers_the_jobs_it_still_holds,
                a_repeated_claim_is_answered_though_nothing_is_ready_any_more,
                a_repeated_claim_leases_no_more,
                a_lease_of_an_unknown_job_is_lost,
            ]
            limits: [
                no_more_jobs_of_a_key_start_than_its_limit,
                a_lease_counts_until_it_is_settled_or_reaped,
                a_settlement_lets_the_next_job_of_the_key_start,
                every_end_of_an_attempt_gives_its_room_back,
                a_late_worker_does_not_free_a_slot_twice,
                a_lowered_limit_lets_running_jobs_finish_and_starts_none_above_it,
                a_lowered_limit_holds_for_jobs_that_were_ready_before,
                a_raised_limit_starts_more_at_once,
                a_limit_of_one_key_stands_over_its_class,
                a_limit_of_zero_starts_none,
                a_key_is_limited_in_each_queue_apart,
                no_more_jobs_of_a_queue_start_than_its_limit,
                a_configured_limit_holds_until_the_configuration_changes,
                a_raised_limit_of_a_queue_starts_more_at_once,
                racing_claims_never_pass_the_limit,
                jobs_without_a_key_have_no_limit,
                many_jobs_of_a_full_key_are_not_claimed_and_put_back,
                a_forgotten_job_does_not_count_as_running,
            ]
            order: [
                a_higher_priority_starts_first,
                a_late_high_priority_overtakes_its_own_key,
                jobs_of_a_key_start_in_the_order_of_their_arrival,
                jobs_of_a_key_that_were_parked_start_in_the_order_of_their_arrival,
                a_key_that_was_full_has_its_next_turn_with_the_others,
                a_key_has_one_turn_at_a_time_for_the_jobs_that_it_had_parked,
                keys_take_turns_at_equal_priority,
                a_newcomer_starts_within_one_turn_of_a_long_backlog,
                a_newcomer_makes_up_for_no_turns_of_the_past,
                a_heavier_key_gets_more_turns,
                a_full_key_costs_the_others_nothing,
                a_released_job_starts_after_one_of_higher_priority_that_was_parked,
                a_released_job_starts_before_the_later_ones_of_its_key,
                every_tenth_start_goes_to_a_key_that_has_waited_too_long,
                a_key_that_has_waited_too_long_keeps_its_limit,
                the_time_that_a_key_was_full_is_no_starvation,
                a_paused_key_does_not_wait,
                queues_are_asked_in_the_order_of_the_claim,
            ]
            unique: [
                a_second_job_with_a_live_unique_key_is_a_duplicate,
                a_unique_key_stays_taken_for_its_window_after_completion,
                a_unique_key_without_a_window_is_free_at_completion,
                a_dead_or_cancelled_job_frees_its_unique_key,
                a_job_that_waits_for_a_retry_keeps_its_unique_key,
                of_two_jobs_with_one_unique_key_in_a_batch_the_first_is_stored,
                of_racing_jobs_with_one_unique_key_one_is_stored,
                a_unique_key_is_unique_within_its_queue,
            ]
            retries: [
                a_failed_job_waits_for_its_delay,
                a_job_dies_after_its_last_attempt,
                a_permanent_fault_is_not_retried,
                a_crash_is_charged_to_the_crash_budget,
                the_third_crash_makes_a_dead_letter,
                a_released_job_keeps_its_attempt,
                a_reaped_job_is_charged_once,
                only_the_last_twenty_errors_are_kept,
            ]
            dead_letters: [
                a_dead_letter_keeps_payload_and_errors,
                a_replay_starts_with_a_fresh_budget_and_keeps_identity_and_history,
                a_replay_by_filter_takes_what_matches,
                a_replay_is_bounded_and_says_whether_more_are_left,
                a_replay_whose_unique_key_is_taken_is_refused,
                a_replay_by_filter_leaves_out_jobs_whose_unique_key_is_taken,
                of_two_dead_letters_with_one_unique_key_one_is_replayed,
            ]
            operator: [
                a_waiting_job_is_cancelled_at_once,
                a_running_job_is_told_to_stop_at_its_renewal,
                a_cancelled_job_that_completes_anyway_is_completed,
                a_job_that_was_told_to_stop_is_not_run_again,
                a_job_that_was_told_to_stop_ends_cancelled_when_its_worker_dies,
                cancelling_a_finished_job_changes_nothing,
                cancelling_a_ready_job_gives_its_room_to_the_next,
                nothing_starts_in_a_paused_queue,
                nothing_of_a_paused_key_starts,
                a_resumed_key_keeps_its_order,
                a_retry_starts_a_scheduled_job_now,
                a_running_or_completed_job_is_not_retried,
                a_list_is_filtered_and_paged,
                finished_jobs_are_pruned_and_dead_letters_kept,
                commands_for_an_unknown_queue_are_refused,
                defining_a_queue_again_keeps_its_jobs,
            ]
            scheduled: [
                a_scheduled_job_does_not_start_before_its_time,
                a_due_job_waits_for_room_of_its_key,
                due_jobs_are_moved_in_bounded_batches,
                a_claim_says_when_the_next_job_is_due,
                a_time_in_the_past_is_now,
                a_time_too_far_away_is_refused,
            ]
            prompt: [
                an_enqueue_wakes_who_waits,
                room_for_a_parked_job_wakes_who_waits,
                a_due_job_wakes_who_waits,
                a_resume_and_a_raised_limit_wake_who_waits,
                another_handle_sees_new_jobs_without_a_wake_up,
                a_claim_says_whether_more_may_be_ready,
            ]
            text: [
                any_unicode_comes_back_whole,
                the_largest_payload_comes_back_whole,
                any_error_text_settles,
                all_fields_of_a_job_come_back,
            ]
            batches: [
                each_job_of_a_batch_is_answered_in_order,
                a_repeated_enqueue_is_a_duplicate,
                a_job_that_has_ended_is_still_known_at_a_repeated_enqueue,
                calls_beyond_their_maximum_are_refused,
                empty_calls_are_answered,
                many_callers_at_once_get_their_own_answers,
            ]
            checkpoints: [
                a_checkpoint_reaches_the_next_attempt,
                a_step_written_again_replaces_its_value,
                checkpoints_are_bounded,
                checkpoints_of_a_completed_job_are_gone,
                checkpoints_of_a_dead_job_reach_its_replay,
            ]
            counts: [
                a_job_tells_when_its_last_attempt_started,
                a_lease_tells_how_long_its_job_was_ready,
                the_depth_counts_every_state,
                the_oldest_ready_job_tells_its_age,
                the_depth_tells_limit_and_pause,
            ]
            races: [
                a_job_that_is_cancelled_while_claims_race_leaves_its_slot_free,
                jobs_that_are_stored_in_another_order_than_their_ids_never_pass_the_limit,
                of_a_completion_and_a_reaper_one_wins,
                expired_leases_are_taken_over_in_bounded_batches,
            ]
            versions: [
                a_newer_version_cancels_the_one_that_waits,
                a_newer_version_tells_the_running_one_to_stop,
                a_newer_version_waits_until_the_older_is_settled,
                a_newer_version_waits_until_a_dead_workers_lease_is_reaped,
                an_older_version_that_arrives_late_is_not_run,
                the_same_version_again_is_a_duplicate,
                a_push_back_to_an_earlier_head_is_a_new_version,
                at_equal_times_the_later_arrival_is_the_newer_version,
                a_superseded_job_frees_its_unique_key,
                a_newer_version_takes_the_unique_key_over_from_a_running_one,
                versions_of_one_batch_are_answered_in_their_order,
                a_job_that_is_not_stored_supersedes_none,
                a_supersede_key_is_one_within_its_queue,
                a_superseded_job_is_not_run_again,
                a_dead_newest_version_is_replayed,
                versions_are_remembered_for_thirty_days,
                the_version_of_a_live_job_is_not_forgotten,
                of_racing_versions_the_newest_is_left,
                a_version_that_waits_for_the_older_holds_back_no_other_job,
                a_newer_version_of_another_key_starts_when_the_older_has_ended,
                a_superseded_job_gives_its_room_to_the_next,
                a_version_outlives_a_crash,
            ]
            throttles: [
                no_more_jobs_of_a_key_start_in_a_period_than_its_throttle,
                a_period_begins_at_each_start,
                a_claim_says_when_a_throttled_job_may_start,
                a_key_without_waiting_jobs_is_not_due,
                throttled_jobs_hold_no_room,
                throttled_jobs_keep_their_order,
                a_late_high_priority_starts_before_throttled_jobs,
                a_throttled_key_holds_back_no_other,
                throttled_time_is_no_starvation,
                every_start_counts,
                a_released_job_without_a_start_left_waits,
                a_throttle_that_refuses_says_when_to_try_again,
                a_refused_job_changes_nothing,
                a_job_for_later_is_not_refused,
                a_throttle_is_changed_at_once,
                a_new_throttle_holds_for_jobs_that_were_ready_before,
                a_limit_and_a_throttle_hold_together,
                a_paused_key_that_is_throttled_starts_after_both,
                racing_claims_never_pass_a_throttle,
                starts_outlive_a_crash,
                many_throttled_keys_are_freed_in_bounded_batches,
                many_starts_of_one_key_come_back_together,
                a_throttle_out_of_bounds_is_refused,
            ]
            groups: [
                no_more_jobs_of_a_group_start_than_its_limit,
                an_end_in_one_queue_lets_a_job_of_another_start,
                a_limit_of_a_group_is_changed_at_once,
                a_queues_own_limit_holds_within_its_group,
                a_queue_is_in_one_group_at_most,
                a_dissolved_group_limits_nothing,
                racing_claims_never_pass_a_groups_limit,
                a_group_outlives_a_crash,
            ]
            cron: [
                a_schedule_makes_one_job_of_each_firing,
                of_racing_maintenance_each_firing_is_one_job,
                a_claim_and_maintenance_say_when_a_schedule_fires,
                missed_firings_are_made_up_for_by_one_job,
                a_schedule_that_is_set_again_keeps_its_next_firing,
                a_removed_schedule_fires_no_more,
                a_weekly_schedule_runs_once_a_week_across_the_changes_of_the_clocks,
                a_schedule_that_cannot_be_kept_is_refused,
                a_firing_that_the_queue_refuses_is_over,
                a_schedule_outlives_a_crash,
            ]
            settings: [
                what_is_set_for_a_queue_is_shown,
                the_keys_that_are_shown_are_bounded,
                a_list_is_filtered_by_the_time_of_creation,
                a_replay_is_filtered_by_key_reason_and_time,
                finished_jobs_are_pruned_by_what_is_named,
                a_job_that_is_not_finished_is_not_pruned,
            ]
        }
    };
    (@modules $fresh:ident, $($module:ident: [$($case:ident,)*])*) => {
        $(
            mod $module {
                $(
                    #[tokio::test]
                    async fn $case() {
                        let harness = super::$fresh().await;
                        $crate::cases::$module::$case($crate::Bed::new(harness).await).await;
                    }
                )*
            }
        )*
    };
}
