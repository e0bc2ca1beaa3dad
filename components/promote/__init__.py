"""Accept a pretrained model if it is better than the accepted one."""
