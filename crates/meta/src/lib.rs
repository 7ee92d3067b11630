//! The META partition: small facts about boots and updates that outlive both slots.
