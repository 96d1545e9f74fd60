-- The media and inventories that upload.py's rows name, but for the last of each: those are counted as unmapped.
REPLACE INTO media (media_key, organization_id, agency_rate, media_rate)
WITH RECURSIVE n AS (SELECT 1000 AS n UNION ALL SELECT n + 1 FROM n WHERE n < 1038)
SELECT CONCAT('m', n), 100 + n % 7, 0.1, 0.9 FROM n;

REPLACE INTO inventory (inventory_id, ad_type, device, app_type)
WITH RECURSIVE n AS (SELECT 4500 AS n UNION ALL SELECT n + 1 FROM n WHERE n < 4598)
SELECT n, 'banner', ELT(1 + n % 3, 'pc', 'mobile', 'tablet'), ELT(1 + n % 3, 'web', 'ios', 'aos') FROM n;
