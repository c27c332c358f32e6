"""What tests share: helpers and small programs, in rooms after what they stand for."""
