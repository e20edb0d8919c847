<?php
// The real file documents every setting. This one only stands where the real one stands.
$CONFIG = [];
