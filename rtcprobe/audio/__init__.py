"""What is spoken and what is heard: markers, mouth, ear, and Opus between them. Pure: no clock, no network."""
