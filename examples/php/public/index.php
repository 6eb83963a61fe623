<?php require __DIR__ . '/../greeting.php'; ?>
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>PHP</title>
<link rel="stylesheet" href="style.css">
<h1><?= GREETING ?></h1>
<p>This is release <?= htmlspecialchars(getenv('PIKU_RELEASE') ?: 'unknown') ?>.</p>
</html>
