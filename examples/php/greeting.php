<?php
const GREETING = 'Hello from PHP';
